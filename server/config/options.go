package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Option describes an option of an rtserver.cm, which is a key of a Config under its old name.
type Option struct {
	// Name as the manuals write it; case does not matter.
	Name string
	// Key in a TOML file.
	Key string
	// Type is boolean, integer, real (seconds), string, identifier, string list or identifier list.
	Type string
	// Default, and Range of values, as texts.
	Default, Range string
	// Required tells that it cannot be unset.
	Required bool
	// Effect says when a new value takes effect.
	Effect Effect
}

// ErrUnknownOption is wrapped by errors about an option that there is not.
var ErrUnknownOption = errors.New("no such option")

// optionRow is an option and the key that it sets.
type optionRow struct {
	name, path string
	kind       optionKind
	required   bool
}

type optionKind uint8

const (
	optBool optionKind = iota
	optInt
	optReal // seconds; in a Config a time.Duration
	optString
	optIdentifier
	optStrings
	optIdentifiers
)

var optionTypes = [...]string{"boolean", "integer", "real", "string", "identifier", "string list", "identifier list"}

// optionTable has every option, by name.
var optionTable = []optionRow{
	{"Authorize_Publish", "access.authorize_publish", optBool, false},
	{"Client_Burst_Interval", "router.client.burst_interval", optReal, false},
	{"Client_Connect_Timeout", "router.client.connect_timeout", optReal, false},
	{"Client_Drain_Subjects", "router.client.drain_subjects", optInt, false},
	{"Client_Drain_Timeout", "router.client.drain_timeout", optReal, false},
	{"Client_Keep_Alive_Timeout", "router.client.keep_alive_timeout", optReal, false},
	{"Client_Max_Buffer", "router.client.max_buffer", optInt, true},
	{"Client_Max_Tokens", "router.client.max_tokens", optInt, false},
	{"Client_Read_Timeout", "router.client.read_timeout", optReal, false},
	{"Client_Reconnect_Timeout", "router.client.reconnect_timeout", optReal, true},
	{"Client_Send_Timeout", "router.client.send_timeout", optReal, false},
	{"Client_Thread_Affinity", "router.other.client_thread_affinity", optString, false},
	{"Client_Threads", "router.other.client_threads", optInt, false},
	{"Client_Token_Rate", "router.client.token_rate", optInt, false},
	{"Compression_Args", "router.other.compression_args", optString, false},
	{"Compression_Name", "router.other.compression_name", optString, false},
	{"Compression_Stats", "router.other.compression_stats", optBool, false},
	{"Conn_Max_Restarts", "router.other.conn_max_restarts", optInt, true},
	{"Conn_Names", "router.listen", optStrings, true},
	{"Default_Connect_Prefix", "router.server.connect_prefix", optIdentifier, false},
	{"Default_Msg_Priority", "router.default_msg_priority", optInt, false},
	{"Default_Protocols", "router.default_protocols", optIdentifiers, true},
	{"Default_Subject_Prefix", "router.default_subject_prefix", optString, true},
	{"Editor", "router.other.editor", optString, false},
	{"Enable_Control_Msgs", "router.enable_control_msgs", optStrings, false},
	{"Enable_Stop_Msgs", "router.enable_stop_msgs", optBool, false},
	{"Enforce_Expiration", "router.enforce_expiration", optBool, false},
	{"Gmd_Directory", "router.gmd.directory", optString, false},
	{"Gmd_Max_Buffer", "router.gmd.max_buffer", optInt, false},
	{"Gmd_Publish_Timeout", "router.gmd.publish_timeout", optReal, true},
	{"Gmd_Store", "router.gmd.store", optIdentifier, false},
	{"Group_Burst_Interval", "router.group.burst_interval", optReal, false},
	{"Group_Max_Buffer", "router.group.max_buffer", optInt, true},
	{"Group_Max_Tokens", "router.group.max_tokens", optInt, false},
	{"Group_Token_Rate", "router.group.token_rate", optInt, false},
	{"Log_In_Client", "router.log.in_client", optString, false},
	{"Log_In_Server", "router.log.in_server", optString, false},
	{"Log_Out_Client", "router.log.out_client", optString, false},
	{"Log_Out_Server", "router.log.out_server", optString, false},
	{"Max_Client_Conns", "router.client.max_conns", optInt, true},
	{"Max_Message_Size", "router.max_message_size", optInt, false},
	{"Max_Server_Accept_Conns", "router.server.max_accept_conns", optInt, false},
	{"Max_Server_Connect_Conns", "router.server.max_connect_conns", optInt, true},
	{"Max_Server_Conns", "router.server.max_conns", optInt, true},
	{"Metrics_Conn", "router.other.metrics_conn", optString, false},
	{"Monitor_Ident", "router.other.monitor_ident", optString, false},
	{"Proxy_Password", "router.server.proxy_password", optString, false},
	{"Proxy_Username", "router.server.proxy_username", optString, false},
	{"Real_Number_Format", "router.other.real_number_format", optString, false},
	{"Route_Hold_Down", "router.server.route_hold_down", optReal, false},
	{"Route_Lsa_Refresh", "router.server.route_lsa_refresh", optReal, false},
	{"Rtserver_Socket_Dir", "router.socket_dir", optString, false},
	{"Sd_Basic_Acl_Timeout", "access.reload_interval", optReal, false},
	{"Sd_Basic_Admin_Msg_Types", "access.admin_msg_types", optStrings, true},
	{"Sd_Basic_Trace_File", "access.trace_file", optString, false},
	{"Sd_Basic_Trace_Level", "access.trace_level", optIdentifier, false},
	{"Server_Burst_Interval", "router.server.burst_interval", optReal, false},
	{"Server_Keep_Alive_Timeout", "router.server.keep_alive_timeout", optReal, true},
	{"Server_Max_Tokens", "router.server.max_tokens", optInt, false},
	{"Server_Names", "router.server.names", optStrings, false},
	{"Server_Num_Threads", "router.other.server_num_threads", optInt, false},
	{"Server_Read_Timeout", "router.server.read_timeout", optReal, true},
	{"Server_Reconnect_Interval", "router.server.reconnect_interval", optReal, false},
	{"Server_Thread_Affinity", "router.other.server_thread_affinity", optString, false},
	{"Server_Threads", "router.other.server_threads", optInt, false},
	{"Server_Token_Rate", "router.server.token_rate", optInt, false},
	{"Slow_Consumer_Policy", "router.client.slow_policy", optIdentifier, false},
	{"Slow_Consumer_Warn_Percent", "router.client.slow_warn_percent", optInt, false},
	{"Sm_Security_Driver", "access.driver", optString, false},
	{"Socket_Connect_Timeout", "router.server.connect_timeout", optReal, false},
	{"_Socket_Listen_Backlog", "router.other.socket_listen_backlog", optInt, false},
	{"Subject_Cache_Size", "router.subject_cache_size", optInt, false},
	{"Time_Format", "router.other.time_format", optIdentifier, false},
	{"Tls_Ca_File", "router.tls_client_ca", optString, false},
	{"Tls_Cert_File", "router.tls_cert", optString, false},
	{"Tls_Key_File", "router.tls_key", optString, false},
	{"Tls_Verify_Client", "router.tls_verify_client", optBool, false},
	{"Trace_File", "router.log.trace_file", optString, false},
	{"Trace_File_Size", "router.log.trace_file_size", optInt, false},
	{"Trace_Flags", "router.log.trace_flags", optIdentifiers, false},
	{"Trace_Level", "router.log.trace_level", optIdentifier, false},
	{"Udp_Broadcast_Timeout", "router.other.udp_broadcast_timeout", optReal, false},
	{"Unique_Subject", "router.unique_subject", optString, true},
	{"Unique_Subject_Takeover", "router.client.takeover", optIdentifier, false},
	{"Verbose", "router.log.verbose", optBool, false},
	{"Zero_Recv_Gmd_Failure", "router.gmd.zero_recv_failure", optBool, true},
}

func findOption(name string) (optionRow, error) {
	for _, row := range optionTable {
		if strings.EqualFold(row.name, name) {
			return row, nil
		}
	}
	return optionRow{}, fmt.Errorf("config: option %s: %w", quote("", name), ErrUnknownOption)
}

// SetOption gives an option of cfg another value; no values unset it. name is case-insensitive, each value a word of the command
// setopt. The error says what would be right: then cfg stays as it is. warning, if any, tells that the value has no effect, or none yet.
//
// Others must not be reading cfg: set the options of a copy (next := *cfg) and hand that on; lists are replaced, never changed.
func SetOption(cfg *Config, name string, values []string) (warning string, err error) {
	row, err := findOption(name)
	if err != nil {
		return "", err
	}
	if len(values) == 0 {
		return UnsetOption(cfg, name)
	}
	f := row.field(cfg)
	old := reflect.New(f.value.Type()).Elem()
	old.Set(f.value)
	shown, want := row.assign(f, values)
	if want == "" {
		shown, want = judgeRouter(row.path, f)
	}
	if want == "" && row.name == "Conn_Names" { // stricter than the key: no host:port
		shown, want = judgeConnNames(f.value.Interface().([]string))
	}
	if want != "" {
		f.value.Set(old)
		return "", fmt.Errorf("config: option %q: value %s: %s", row.name, quote(f.unit, shown), want)
	}
	row.afterwards(cfg)
	return row.warning(), nil
}

func judgeConnNames(names []string) (shown, want string) {
	for _, name := range names {
		if _, want := parseListenName(name); want != "" {
			return name, want
		}
	}
	return "", ""
}

// UnsetOption takes the value of an option away: a text or a list becomes empty where it may, anything else gets its default. The error is
// that of an option that is required, or unknown. See SetOption.
func UnsetOption(cfg *Config, name string) (warning string, err error) {
	row, err := findOption(name)
	if err != nil {
		return "", err
	}
	if row.required {
		return "", fmt.Errorf("config: option %q: required: it cannot be unset", row.name)
	}
	f := row.field(cfg)
	switch f.value.Kind() {
	case reflect.String, reflect.Slice:
		f.value.SetZero()
		if _, want := judgeRouter(row.path, f); want == "" {
			break
		}
		fallthrough
	default:
		f.value.Set(row.field(Default()).value)
	}
	row.afterwards(cfg)
	return row.warning(), nil
}

// afterwards sets what follows from an option.
func (o optionRow) afterwards(cfg *Config) {
	if o.name == "Trace_Level" {
		cfg.Log.Level = traceLevels[cfg.Router.Log.TraceLevel]
	}
}

func (o optionRow) warning() string {
	if text := idleText(o.path); text != "" {
		return fmt.Sprintf("option %q: %s", o.name, text)
	}
	return ""
}

// field returns the key of cfg that o sets.
func (o optionRow) field(cfg *Config) field {
	f, ok := (&loader{cfg: cfg}).key(o.path)
	if !ok {
		panic("BUG: config: no key " + o.path)
	}
	return f
}

// assign sets f to values, of which there is at least one. It returns "" or the value that is wrong and what would be right.
func (o optionRow) assign(f field, values []string) (shown, want string) {
	text := strings.Join(values, ", ")
	if o.kind == optStrings || o.kind == optIdentifiers {
		items := splitList(strings.Join(values, ","))
		if o.kind == optIdentifiers {
			items = lowerAll(items)
		}
		if len(items) == 0 && o.required {
			return text, "at least one"
		}
		return text, assignList(f.value, items)
	}
	if len(values) > 1 {
		return text, "one value"
	}
	switch o.kind {
	case optBool:
		if _, ok := parseBool(text); !ok {
			return text, "TRUE or FALSE"
		}
	case optReal:
		d, ok := parseSeconds(text)
		if !ok {
			return text, "a number of seconds, as 30 or 0.5"
		}
		f.value.SetInt(int64(d))
		return "", ""
	case optInt:
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return text, "a whole number"
		}
	case optIdentifier:
		text = strings.ToLower(text)
	case optString:
		if words, ok := routerWords[o.path]; ok && slices.Contains(words, strings.ToLower(text)) {
			text = strings.ToLower(text)
		}
	}
	return text, assign(f.value, f.unit, scalar{text: text})
}

func lowerAll(items []string) []string {
	for i := range items {
		items[i] = strings.ToLower(items[i])
	}
	return items
}

// parseSeconds parses a decimal number of seconds.
func parseSeconds(s string) (time.Duration, bool) {
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(seconds) || math.Abs(seconds) > mostDuration.Seconds() {
		return 0, false
	}
	return time.Duration(math.Round(seconds * float64(time.Second))), true
}

// ShowOption returns "NAME VALUE (TYPE, default DEFAULT[, required])" for an option of cfg; the value of a secret is masked, and UNKNOWN where there is none.
func ShowOption(cfg *Config, name string) (string, error) {
	row, err := findOption(name)
	if err != nil {
		return "", err
	}
	required := ""
	if row.required {
		required = ", required"
	}
	return fmt.Sprintf("%s %s (%s, default %s%s)", row.name, row.show(cfg), optionTypes[row.kind], row.byDefault(), required), nil
}

// byDefault returns the default of o as setopt would take it.
func (o optionRow) byDefault() string { return optionDefaults()[o.name] }

var optionDefaults = sync.OnceValue(func() map[string]string {
	cfg, all := Default(), map[string]string{}
	cfg.Router.Listen = connNames
	for _, o := range optionTable {
		all[o.name] = o.show(cfg)
	}
	return all
})

// connNames is where the original listens by itself.
var connNames = []string{"local", "tcp"}

// show returns the value of o as setopt would take it.
func (o optionRow) show(cfg *Config) string {
	f := o.field(cfg)
	switch v := f.value.Interface().(type) {
	case bool:
		return strings.ToUpper(strconv.FormatBool(v))
	case time.Duration:
		return strconv.FormatFloat(v.Seconds(), 'f', -1, 64)
	case []string:
		if len(v) == 0 {
			return unknown
		}
		words := make([]string, len(v))
		for i, s := range v {
			words[i] = quoteWord(s)
		}
		return strings.Join(words, ", ")
	case string:
		if f.unit == "secret" && v != "" {
			v = mask
		}
		if v == "" {
			return unknown
		}
		return quoteWord(v)
	}
	return strconv.FormatInt(f.value.Int(), 10)
}

// quoteWord returns s as one word of a command.
func quoteWord(s string) string {
	commands, problems := ParseCommands("x " + s)
	plain := len(problems) == 0 && len(commands) == 1 && slices.Equal(commands[0].Words[1:], []string{s}) && !commands[0].marks[1].quoted
	mark := wordMark{quoted: !plain || strings.EqualFold(s, unknown)}
	return Command{Words: []string{s}, marks: []wordMark{mark}}.String()
}

// Options returns all options, by name.
func Options() []Option {
	all := make([]Option, len(optionTable))
	for i, row := range optionTable {
		all[i] = Option{row.name, row.path, optionTypes[row.kind], row.byDefault(), row.span(), row.required, effectOf(row.path)}
	}
	return all
}

// span describes the values that o takes.
func (o optionRow) span() string {
	if words, ok := routerWords[o.path]; ok {
		return wordList(words)
	}
	if limits, ok := routerLimits[o.path]; ok {
		return fmt.Sprintf("%d to %d", limits[0], limits[1])
	}
	span, spans := routerSpans[o.path]
	switch {
	case o.kind == optBool:
		return "TRUE, FALSE"
	case spans && span.most < mostDuration:
		return fmt.Sprintf("0 to %v", span.most.Seconds())
	case spans:
		return "0 or more"
	case o.kind == optReal:
		return "more than 0"
	}
	return ""
}
