<?php
// An engine in PHP: php engine.php. Its procedures: ECHO, UPPER, ASK and SLOW <seconds>.

const D = "\x01"; // ends a field
$fd = 'php://fd/' . getenv('ENGINE_FD');
$in = fopen($fd, 'rb');
$out = fopen($fd, 'wb');

// readBytes returns exactly $n bytes. At the end of the connection the engine ends.
function readBytes(int $n): string {
    global $in;
    for ($all = ''; strlen($all) < $n; $all .= $part) {
        $part = fread($in, $n - strlen($all));
        if ($part === false || $part === '') exit(0);
    }
    return $all;
}

// readOrder returns the code of the next order, the number of its request, and its fields, raw.
function readOrder(): array {
    return explode(D, readBytes((int) readBytes(8)), 3) + ['', '', ''];
}

// send sends an event. The last field may hold any byte: it goes to the end of the frame.
function send(string ...$fields): void {
    global $out;
    $frame = implode(D, $fields);
    for ($frame = sprintf('%08d', strlen($frame)) . $frame; $frame !== ''; $frame = substr($frame, $n)) {
        if (!$n = fwrite($out, $frame)) exit(1);
    }
}

// broken tells whether the client wants no answer any more. An engine that looks from time to time can be stopped gently.
function broken(string $rid): bool {
    global $in;
    for ($none = null, $r = [$in]; stream_select($r, $none, $none, 0); $r = [$in]) {
        [$code, $of] = readOrder();
        if ($code === '100' && $of === $rid) return true;
    }
    return false;
}

// ask returns the client's answer to a question; null is a break.
function ask(string $rid, string $prompt): ?string {
    send('10', $rid, $prompt);
    do [$code, , $answer] = readOrder(); while ($code !== '19' && $code !== '100');
    return $code === '19' ? $answer : null;
}

// run returns the output of a call; null after a break.
function run(string $rid, string $procedure, array $args): ?string {
    switch ($procedure) {
        case 'ECHO':  return implode(D, $args);
        case 'UPPER': return strtoupper(implode(D, $args));
        case 'ASK':   $name = ask($rid, 'Name? '); return $name === null ? null : "Hello $name";
        case 'SLOW':
            for ($end = microtime(true) + (float) $args[0]; microtime(true) < $end; usleep(10000)) {
                if (broken($rid)) return null;
            }
            return 'slept';
    }
    throw new Exception('unknown procedure');
}

send('HELLO', '0', '1', 'php', PHP_VERSION);
for (;;) {
    [$code, $rid, $fields] = readOrder();
    if ($code === '1') { // login: the fields are user, password, application, mode, procedure, flags, location. All are welcome.
        send('3', $rid);
    } elseif ($code === '2') { // logoff
        exit(0);
    } elseif (!in_array($code, ['19', '100', '101'])) { // a call; those are too late
        send('0', $rid); // begun: from here on no other engine gets this request
        [$kind, $procedure, $deadline, $args] = explode(D, $fields, 4) + ['', '', '', ''];
        try {
            $output = run($rid, $procedure, explode(D, preg_replace('/\x01$/D', '', $args))); // each argument is ended by D
            $output === null ? send('4', $rid, 'BREAK', 'broken') : send('3', $rid, '', $output);
        } catch (Throwable $e) {
            send('4', $rid, get_class($e), $e->getMessage());
        }
    }
}
