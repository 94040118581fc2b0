package config

import (
	"strconv"
	"strings"
	"time"
)

// Router is the router door: clients that publish messages to subjects and subscribe to them, those of NATS included.
// An rtserver.cm sets the same keys under their old names: see "Options of an rtserver.cm".
type Router struct {
	// Where to listen, each a logical connection name (tcp, tcp:_any:5101, tcp:192.0.2.1:5101, local, local:_node:/run/rh.sock, tls:_any:5102) or
	// host:port. _any and _node are every address of this host. A name without a protocol opens one listener for each of default_protocols.
	// Where files configure this door and set neither this nor nats.listen: tcp:127.0.0.1:5101. Empty: none.
	Listen []string `toml:"listen"`
	// Protocols of names without one: local, tcp, tls. At least one.
	DefaultProtocols []string `toml:"default_protocols"`
	// Directory of the socket file of local where no address is given. Empty: RTSERVER_SOCKET_DIR of the environment, else /tmp/rtworks, else, where
	// that cannot be written, XDG_RUNTIME_DIR.
	SocketDir string `toml:"socket_dir"`
	// Name of this server among those of the cloud, and the subject that it alone gets; %n stands for the host and %p for the process. Required.
	UniqueSubject string `toml:"unique_subject"`
	// What is put in front of subjects that do not start with /, and what clients are told to put there. Starts with /.
	DefaultSubjectPrefix string `toml:"default_subject_prefix"`
	// Priority of messages that the server itself makes. -32768 to 32767.
	DefaultMsgPriority int `toml:"default_msg_priority"`
	// Longest message in bytes; a longer one ends the connection. 1 KiB to 99999999.
	MaxMessageSize int `toml:"max_message_size" unit:"bytes"`
	// Subjects whose subscribers each loop keeps at hand, some 400 bytes each; others are looked up in a microsecond or two. 16 to 16777216.
	SubjectCacheSize int `toml:"subject_cache_size"`
	// Commands that a control message may run: names, _all for every one, and !name for none of that name. The first that fits holds. Empty: none.
	EnableControlMsgs []string `toml:"enable_control_msgs"`
	// Whether a client may stop the server by a message.
	EnableStopMsgs bool `toml:"enable_stop_msgs"`
	// Whether messages whose time of expiration has passed are dropped.
	EnforceExpiration bool `toml:"enforce_expiration"`
	// File of the certificate for listeners of tls, and of those between it and its root, in PEM. These files are read again when they have changed.
	TLSCert string `toml:"tls_cert"`
	// File of the key of tls_cert, in PEM.
	TLSKey string `toml:"tls_key"`
	// File of the authorities, in PEM, by one of which a client's certificate must be signed. Empty: clients need none.
	TLSClientCA string `toml:"tls_client_ca"`
	// Whether a client must have a certificate where tls_client_ca is set. false: one that it shows must be signed, and it may show none.
	TLSVerifyClient bool `toml:"tls_verify_client"`

	Client RouterClient `toml:"client"`
	NATS   RouterNATS   `toml:"nats"`
	Log    RouterLog    `toml:"log"`
	Server RouterServer `toml:"server"`
	GMD    RouterGMD    `toml:"gmd"`
	Group  RouterGroup  `toml:"group"`
	Other  RouterOther  `toml:"other"`

	// Commands under names of their own.
	Aliases []RouterAlias `toml:"alias"`
	// What the server itself subscribes to.
	Subscriptions []RouterSubscription `toml:"subscription"`
}

// RouterClient says how clients of the router door are treated.
type RouterClient struct {
	// Most client connections at a time; one more is told so and closed. 0: no limit but limits.max_connections.
	MaxConns int `toml:"max_conns"`
	// From the opening of a connection until its client has introduced itself. More than 0.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	// Silence of a client after which it is asked whether it lives. 0: it is never asked.
	ReadTimeout time.Duration `toml:"read_timeout"`
	// How long its answer may take, then the connection is closed. 0: for ever, and it is not asked.
	KeepAliveTimeout time.Duration `toml:"keep_alive_timeout"`
	// How long a client that wants to come back (warm) may be away before the server forgets it. More than 0.
	ReconnectTimeout time.Duration `toml:"reconnect_timeout"`
	// Most subscriptions of one client; one more ends its connection. 0: no limit.
	MaxSubscriptions int `toml:"max_subscriptions"`
	// Most bytes that wait for one client; then its connection is closed. 1 KiB to 1 TiB.
	MaxBuffer int64 `toml:"max_buffer" unit:"bytes"`
	// Bytes a second that one client is sent. 0: no limit.
	TokenRate int `toml:"token_rate"`
	// Most bytes that a client who was sent less may be sent at once, with token_rate. 0: no limit.
	MaxTokens int `toml:"max_tokens"`
	// How long a client that has used up its share by token_rate waits before it is looked at again. 0s to 10m.
	BurstInterval time.Duration `toml:"burst_interval"`
	// Subscriptions of a client that has gone that are taken away in one step. 1 to 16777216.
	DrainSubjects int `toml:"drain_subjects"`
	// Pause between two such steps. 0s to 1m; 0: all in one step.
	DrainTimeout time.Duration `toml:"drain_timeout"`
	// Who may take over the unique subject of a client that is still connected: same_instance (the same process, reconnected), never or always.
	Takeover string `toml:"takeover"`
	// What becomes of a client that is too slow: disconnect. drop_oldest, drop_newest and block have no effect yet.
	SlowPolicy string `toml:"slow_policy"`
	// Percent of max_buffer above which a client counts as slow. 1 to 100.
	SlowWarnPercent int `toml:"slow_warn_percent"`
	// How long a client may take nothing of what waits for it, then its connection is closed. 0: for ever.
	SendTimeout time.Duration `toml:"send_timeout"`
}

// RouterNATS is for clients that speak the protocol of NATS. Their subject a.b is /a/b of the project that is named here.
type RouterNATS struct {
	// Addresses to listen on, as host:port; an empty host is every address, port 0 a free one. Empty: none.
	Listen []string `toml:"listen"`
	// Project that these clients belong to.
	Project string `toml:"project"`
	// File of the certificate, and of those between it and its root, in PEM. Empty: no TLS. These files are read again when they have changed.
	TLSCert string `toml:"tls_cert"`
	// File of the key of tls_cert, in PEM.
	TLSKey string `toml:"tls_key"`
	// File of the authorities, in PEM, by one of which a client's certificate must be signed. Empty: clients need none.
	TLSClientCA string `toml:"tls_client_ca"`
	// Whether TLS begins with the first byte instead of after the server's INFO.
	TLSFirst bool `toml:"tls_first"`
	// Longest payload in bytes, header included; a longer one ends the connection. 1 byte to 64 MiB.
	MaxPayload int `toml:"max_payload" unit:"bytes"`
	// Longest line of the protocol in bytes; a longer one ends the connection. 256 to 1 MiB.
	MaxControlLine int `toml:"max_control_line" unit:"bytes"`
	// Most bytes that wait for one client; then its connection is closed. 1 KiB to 1 TiB.
	MaxPending int64 `toml:"max_pending" unit:"bytes"`
	// Most client connections at a time; one more is told so and closed. 0: no limit but limits.max_connections.
	MaxConnections int `toml:"max_connections"`
	// Most subscriptions of one client; one more is refused. 0: no limit.
	MaxSubscriptions int `toml:"max_subscriptions"`
	// Interval of pings to a client that is silent. More than 0.
	PingInterval time.Duration `toml:"ping_interval"`
	// Pings without an answer after which a connection is closed. 1 to 1000.
	PingMax int `toml:"ping_max"`
	// From the opening of a connection until its client is known, where one must be. More than 0.
	AuthTimeout time.Duration `toml:"auth_timeout"`
	// How long a client may take nothing of what waits for it, then its connection is closed. More than 0.
	WriteDeadline time.Duration `toml:"write_deadline"`
	// User of [access] that a client is who does not say who it is. Empty: such a client is refused where [access] has a driver.
	NoAuthUser string `toml:"no_auth_user"`
}

// RouterLog says where messages are written to as they come and go, and what an rtserver.cm says about the log of the program.
type RouterLog struct {
	// File that messages from clients are appended to, as text. Empty: none. Several keys may name one file.
	InClient string `toml:"in_client"`
	// File for messages to clients.
	OutClient string `toml:"out_client"`
	// File for messages from other servers. Has no effect yet.
	InServer string `toml:"in_server"`
	// File for messages to other servers. Has no effect yet.
	OutServer string `toml:"out_server"`
	// Level of the log where log.level is not set: never, error, warning, info, info_1, info_2, verbose, verbose_1, verbose_2 or debug. Empty: that of [log].
	TraceLevel string `toml:"trace_level"`
	// Has no effect: the log goes to standard error; let the service manager keep it.
	TraceFile string `toml:"trace_file"`
	// Has no effect, as trace_file.
	TraceFileSize int64 `toml:"trace_file_size" unit:"bytes"`
	// Has no effect: see log.format.
	TraceFlags []string `toml:"trace_flags"`
	// Whether a line with the time and the connection stands in front of each message in the files, and starting is told in more lines.
	Verbose bool `toml:"verbose"`
}

// RouterServer is about links to other servers. None of it has an effect yet.
type RouterServer struct {
	// Servers to connect to, each a logical connection name, as cost=5:connect_all:tcp:hub1:5101.
	Names []string `toml:"names"`
	// What holds for names without one of the words connect_all, connect_one, connect_all_stop and connect_one_stop.
	ConnectPrefix string `toml:"connect_prefix"`
	// Most links to servers, both ways together. Negative: no limit.
	MaxConns int `toml:"max_conns"`
	// Most links that other servers have made. Negative: no limit.
	MaxAcceptConns int `toml:"max_accept_conns"`
	// Most links that this server has made. Negative: no limit.
	MaxConnectConns int `toml:"max_connect_conns"`
	// How long a connect may take. More than 0.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	// Silence of a link after which the other server is asked whether it lives. 0: it is never asked.
	ReadTimeout time.Duration `toml:"read_timeout"`
	// How long its answer may take. 0: for ever.
	KeepAliveTimeout time.Duration `toml:"keep_alive_timeout"`
	// Pause before a link that is down is tried again. 0: it is not.
	ReconnectInterval time.Duration `toml:"reconnect_interval"`
	// Bytes a second that one link is sent. 0: no limit.
	TokenRate int `toml:"token_rate"`
	// Most bytes that a link which was sent less may be sent at once. 0: no limit.
	MaxTokens int `toml:"max_tokens"`
	// Pause before a link that has used up its share is looked at again. 0s to 10m.
	BurstInterval time.Duration `toml:"burst_interval"`
	// User name for proxies.
	ProxyUsername string `toml:"proxy_username"`
	// Password for proxies.
	ProxyPassword string `toml:"proxy_password" unit:"secret"`
	// How long changes of the cloud are gathered before paths are computed anew.
	RouteHoldDown time.Duration `toml:"route_hold_down"`
	// Interval at which a server tells the others about its links. More than 0.
	RouteLSARefresh time.Duration `toml:"route_lsa_refresh"`
}

// RouterGMD is about guaranteed delivery of messages. None of it has an effect yet.
type RouterGMD struct {
	// How long the accounts of a subject are kept after its last such message. 0: for ever.
	PublishTimeout time.Duration `toml:"publish_timeout"`
	// Whether a message without a subscriber counts as failed.
	ZeroRecvFailure bool `toml:"zero_recv_failure"`
	// Where messages that are not acknowledged are kept: memory or file.
	Store string `toml:"store"`
	// Directory for file.
	Directory string `toml:"directory"`
	// Most bytes of messages that are not acknowledged. 0: no limit.
	MaxBuffer int64 `toml:"max_buffer" unit:"bytes"`
}

// RouterGroup is about multicast groups. None of it has an effect.
type RouterGroup struct {
	// As client.burst_interval.
	BurstInterval time.Duration `toml:"burst_interval"`
	// As client.max_tokens.
	MaxTokens int `toml:"max_tokens"`
	// As client.token_rate.
	TokenRate int `toml:"token_rate"`
	// As client.max_buffer.
	MaxBuffer int64 `toml:"max_buffer" unit:"bytes"`
}

// RouterOther has what is accepted for the sake of old files.
type RouterOther struct {
	// How this server is called where clients are watched. Empty: roundhouse. Has no effect yet.
	MonitorIdent string `toml:"monitor_ident"`
	// Library that compresses: zlib. Has no effect yet.
	CompressionName string `toml:"compression_name"`
	// Arguments for it. Has no effect yet.
	CompressionArgs string `toml:"compression_args"`
	// Whether its work is counted. Has no effect yet.
	CompressionStats bool `toml:"compression_stats"`
	// Has no effect: a listener is never closed for an error of one connection.
	ConnMaxRestarts int `toml:"conn_max_restarts"`
	// Has no effect: the limit is that of the system.
	SocketListenBacklog int `toml:"socket_listen_backlog"`
	// Has no effect: see loops.
	ClientThreads int `toml:"client_threads"`
	// Has no effect: see loops.
	ServerThreads int `toml:"server_threads"`
	// Has no effect: see loops.
	ServerNumThreads int `toml:"server_num_threads"`
	// Has no effect.
	ClientThreadAffinity string `toml:"client_thread_affinity"`
	// Has no effect.
	ServerThreadAffinity string `toml:"server_thread_affinity"`
	// Has no effect.
	Editor string `toml:"editor"`
	// Has no effect.
	RealNumberFormat string `toml:"real_number_format"`
	// Has no effect.
	TimeFormat string `toml:"time_format"`
	// Has no effect.
	UDPBroadcastTimeout time.Duration `toml:"udp_broadcast_timeout"`
	// Has no effect: see admin.listen.
	MetricsConn string `toml:"metrics_conn"`
}

// RouterSubscription is what the command subscribe of an rtserver.cm asks for: [[router.subscription]] in TOML.
type RouterSubscription struct {
	// Project.
	Project string `toml:"project"`
	// Subject or pattern. Required.
	Subject string `toml:"subject"`
}

// RouterAlias is a command under a name of its own, as alias of an rtserver.cm makes it: [[router.alias]] in TOML.
type RouterAlias struct {
	// Name, unique but for case, and not that of a command: letters, digits and ._-, at most 64. Required.
	Name string `toml:"name"`
	// What it stands for: one or more commands with ; between them. What follows the name in use is added to the last one. Required.
	Text string `toml:"text"`
}

const (
	// DefaultRouterListen is where the router door opens when it is configured and nobody says where.
	DefaultRouterListen = "tcp:127.0.0.1:5101"
	// DefaultNATSListen is where the demonstration listens for NATS clients.
	DefaultNATSListen = "127.0.0.1:4222"
	// DefaultProject is the project of who does not name one.
	DefaultProject = "rtworks"
)

// DefaultRouterSubscription returns a subscription with the default of every field; Subject is still to be set.
func DefaultRouterSubscription() RouterSubscription {
	return RouterSubscription{Project: DefaultProject}
}

// defaultRouter returns the router door of Default: closed.
func defaultRouter() Router {
	return Router{
		DefaultProtocols:     []string{"local", "tcp"},
		UniqueSubject:        "_%n_%p",
		DefaultSubjectPrefix: "/",
		MaxMessageSize:       64 << 20,
		SubjectCacheSize:     4096,
		EnableControlMsgs:    []string{"echo", "quit"},
		EnableStopMsgs:       true,
		TLSVerifyClient:      true,
		Client: RouterClient{
			MaxConns:         200,
			ConnectTimeout:   10 * time.Second,
			ReconnectTimeout: 30 * time.Second,
			MaxSubscriptions: 1_000_000,
			MaxBuffer:        10_000_000,
			BurstInterval:    500 * time.Millisecond,
			DrainSubjects:    1000,
			Takeover:         "same_instance",
			SlowPolicy:       "disconnect",
			SlowWarnPercent:  75,
		},
		NATS: RouterNATS{
			Project:          DefaultProject,
			MaxPayload:       1 << 20,
			MaxControlLine:   4 << 10,
			MaxPending:       64 << 20,
			MaxSubscriptions: 1_000_000,
			MaxConnections:   64 << 10,
			PingInterval:     2 * time.Minute,
			PingMax:          2,
			AuthTimeout:      2 * time.Second,
			WriteDeadline:    10 * time.Second,
		},
		Server: RouterServer{
			ConnectPrefix:     "connect_one",
			MaxConns:          -1,
			MaxAcceptConns:    -1,
			MaxConnectConns:   -1,
			ConnectTimeout:    5 * time.Second,
			ReadTimeout:       30 * time.Second,
			KeepAliveTimeout:  15 * time.Second,
			ReconnectInterval: 30 * time.Second,
			BurstInterval:     500 * time.Millisecond,
			RouteHoldDown:     50 * time.Millisecond,
			RouteLSARefresh:   5 * time.Minute,
		},
		GMD:   RouterGMD{PublishTimeout: 5 * time.Minute, Store: "memory"},
		Group: RouterGroup{BurstInterval: 500 * time.Millisecond, MaxBuffer: 10_000_000},
		Other: RouterOther{
			CompressionName:     "zlib",
			CompressionArgs:     "level=6",
			SocketListenBacklog: 100,
			ServerNumThreads:    1,
			RealNumberFormat:    "%g",
			UDPBroadcastTimeout: 5 * time.Second,
		},
	}
}

// OwnSubject returns the unique subject of this server, node being the name of the host and pid the number of the process.
func (r *Router) OwnSubject(node string, pid int) string {
	return strings.NewReplacer("%n", node, "%p", strconv.Itoa(pid)).Replace(r.UniqueSubject)
}

// Opens tells whether the door has a listener.
func (r *Router) Opens() bool { return len(r.Listen)+len(r.NATS.Listen) > 0 }
