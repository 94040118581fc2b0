package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"roundhouse/routing/subject"
)

// routerLimits has the least and the most value of every number of the router door, bytes where the key is a size.
var routerLimits = map[string][2]int64{
	"router.default_msg_priority":        {-32768, 32767},
	"router.max_message_size":            {1 << 10, 99_999_999}, // what eight digits can say
	"router.subject_cache_size":          {16, 1 << 24},
	"router.client.max_conns":            {0, 1 << 30},
	"router.client.max_subscriptions":    {0, 1 << 30},
	"router.client.max_buffer":           {1 << 10, 1 << 40},
	"router.client.token_rate":           {0, 1<<31 - 1},
	"router.client.max_tokens":           {0, 1<<31 - 1},
	"router.client.drain_subjects":       {1, 1 << 24},
	"router.client.slow_warn_percent":    {1, 100},
	"router.nats.max_payload":            {1, 64 << 20},
	"router.nats.max_control_line":       {256, 1 << 20},
	"router.nats.max_pending":            {1 << 10, 1 << 40},
	"router.nats.max_connections":        {0, 1 << 30},
	"router.nats.max_subscriptions":      {0, 1 << 30},
	"router.nats.ping_max":               {1, 1000},
	"router.log.trace_file_size":         {0, 1 << 62},
	"router.server.max_conns":            {-1 << 30, 1 << 30},
	"router.server.max_accept_conns":     {-1 << 30, 1 << 30},
	"router.server.max_connect_conns":    {-1 << 30, 1 << 30},
	"router.server.token_rate":           {0, 1<<31 - 1},
	"router.server.max_tokens":           {0, 1<<31 - 1},
	"router.gmd.max_buffer":              {0, 1 << 62},
	"router.group.token_rate":            {0, 1<<31 - 1},
	"router.group.max_tokens":            {0, 1<<31 - 1},
	"router.group.max_buffer":            {1 << 10, 1 << 40},
	"router.other.conn_max_restarts":     {0, 1 << 30},
	"router.other.client_threads":        {0, 1024},
	"router.other.server_threads":        {0, 1024},
	"router.other.server_num_threads":    {1, 1024},
	"router.other.socket_listen_backlog": {1, 1 << 30},
}

// routerSpans has the durations of the router door and of access that are not just more than 0: whether they may be 0, and the most.
var routerSpans = map[string]struct {
	zero bool
	most time.Duration
}{
	"router.client.read_timeout":         {true, mostDuration},
	"router.client.keep_alive_timeout":   {true, mostDuration},
	"router.client.burst_interval":       {true, 600 * time.Second},
	"router.client.drain_timeout":        {true, 60 * time.Second},
	"router.client.send_timeout":         {true, mostDuration},
	"router.server.read_timeout":         {true, mostDuration},
	"router.server.keep_alive_timeout":   {true, mostDuration},
	"router.server.reconnect_interval":   {true, mostDuration},
	"router.server.burst_interval":       {true, 600 * time.Second},
	"router.server.route_hold_down":      {true, mostDuration},
	"router.gmd.publish_timeout":         {true, mostDuration},
	"router.group.burst_interval":        {true, 600 * time.Second},
	"router.other.udp_broadcast_timeout": {true, mostDuration},
	"access.reload_interval":             {true, mostDuration},
}

// traceLevels are those of the original, and what each is in log.level.
var traceLevels = map[string]string{
	"never": "error", "error": "error", "warning": "warn", "info": "info", "info_1": "info", "info_2": "info",
	"verbose": "debug", "verbose_1": "debug", "verbose_2": "debug", "debug": "debug",
}

var traceWords = []string{"never", "error", "warning", "info", "info_1", "info_2", "verbose", "verbose_1", "verbose_2", "debug"}

// routerWords has the keys of the router door and of access that take one of a few words.
var routerWords = map[string][]string{
	"router.client.takeover":        {"same_instance", "never", "always"},
	"router.client.slow_policy":     {"disconnect", "drop_oldest", "drop_newest", "block"},
	"router.log.trace_level":        append([]string{""}, traceWords...),
	"router.server.connect_prefix":  lcnConnects,
	"router.gmd.store":              {"memory", "file"},
	"router.other.compression_name": {"", "zlib"},
	"access.driver":                 {"", "basic"},
	"access.trace_level":            traceWords,
}

// routerTexts has what judges a text of a key, or each member of its list, and returns what would be right.
var routerTexts = map[string]func(string) string{
	"router.listen": func(s string) string {
		_, want := parseListen(s)
		return want
	},
	"router.default_protocols": func(s string) string {
		if !slices.Contains([]string{"local", "tcp", "tls"}, s) {
			return "local, tcp or tls"
		}
		return ""
	},
	"router.unique_subject":         judgeUniqueSubject,
	"router.default_subject_prefix": judgePrefix,
	"router.enable_control_msgs": func(s string) string {
		if !isIdentifier(strings.TrimPrefix(s, "!")) {
			return "names of commands, as echo, or _all, or !sh for all but that"
		}
		return ""
	},
	"router.nats.listen": func(s string) string {
		if !isAddress(s) {
			return "an address as 127.0.0.1:4222 or :4222"
		}
		return ""
	},
	"router.nats.project": judgeProject,
	"router.server.names": func(s string) string {
		n, want := parseLCN(s)
		if want == "" {
			want = n.Unsupported()
		}
		return want
	},
	"access.admin_msg_types": func(s string) string {
		if _, err := strconv.ParseInt(s, 10, 32); err != nil {
			return "numbers of types of messages, as -30"
		}
		return ""
	},
}

// judgeRouter judges a value of the router door or of access by itself. It returns "" or what would be right, and the value to show.
func judgeRouter(path string, f field) (shown, want string) {
	switch v := f.value.Interface().(type) {
	case time.Duration:
		return v.String(), judgeSpan(path, v)
	case []string:
		for _, item := range v {
			if want := judgeRouterText(path, "", item); want != "" {
				return item, want
			}
		}
	case string:
		if f.unit == "secret" && v != "" {
			return mask, judgeSecret(v, false)
		}
		return v, judgeRouterText(path, f.unit, v)
	case int, int64:
		n := f.value.Int()
		if limits, ok := routerLimits[path]; ok && (n < limits[0] || n > limits[1]) {
			return strconv.FormatInt(n, 10), fmt.Sprintf("%d to %d", limits[0], limits[1])
		}
	}
	return "", ""
}

func judgeSpan(path string, d time.Duration) string {
	span, ok := routerSpans[path]
	if !ok {
		span.most = mostDuration
	}
	switch {
	case d > 0 && d <= span.most || d == 0 && span.zero:
		return ""
	case span.zero:
		return fmt.Sprintf("a duration of 0s to %s", formatDuration(span.most))
	}
	return fmt.Sprintf("a duration of more than 0s, at most %s", formatDuration(span.most))
}

func judgeRouterText(path, unit, text string) string {
	if words, ok := routerWords[path]; ok {
		if slices.Contains(words, text) {
			return ""
		}
		return "one of " + wordList(words)
	}
	if judge, ok := routerTexts[path]; ok {
		return judge(text)
	}
	if len(text) > maxText || strings.ContainsFunc(text, isControl) {
		return fmt.Sprintf("at most %d bytes without control characters", maxText)
	}
	return ""
}

// wordList lists words, the empty one last.
func wordList(words []string) string {
	if words[0] == "" {
		return strings.Join(words[1:], ", ") + ", or nothing"
	}
	return strings.Join(words, ", ")
}

// judgeSubject judges a subject, or a pattern where wild is allowed.
func judgeSubject(s string, wild bool) string {
	name, err := subject.Canonical(nil, "/", []byte(s))
	switch {
	case err != nil:
		return "a subject as /a/b; " + strings.TrimPrefix(err.Error(), subject.ErrName.Error()+": ")
	case !wild && subject.IsWild(string(name)):
		return "a subject without wildcards"
	}
	return ""
}

func judgeUniqueSubject(s string) string { return judgeSubject(s, false) }

func judgePrefix(s string) string {
	if s == "/" {
		return ""
	}
	if !strings.HasPrefix(s, "/") {
		return "a subject that starts with /"
	}
	return judgeSubject(s, false)
}

func judgeProject(s string) string {
	if !isIdentifier(s) {
		return "the name of a project: 1 to 64 letters, digits and ._-, not starting with a dot"
	}
	return ""
}
