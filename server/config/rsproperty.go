package config

// rsSection is one kind of section: what its properties mean.
type rsSection struct {
	name       string
	tables     string // the list of tables of Relay that it adds an element to; empty: it sets keys of the Config
	properties map[string]rsProperty
}

// rsProperty is one known property.
type rsProperty struct {
	field  string                    // what it sets: a field of the element, or a key of the Config; empty: nothing
	unset  string                    // a value that means not set
	judge  func(value string) string // "" or what would be right; nil: what the field takes
	as     func(value string) string // how the field is told; nil: as it is written
	secret bool                      // its field is a secret
	idle   string                    // without a field: why it means nothing
	apply  func(r *rsReader, v rsValue)
}

var rsSections = map[string]*rsSection{
	"options":        {"options", "", rsOptions},
	"relay_server":   {"relay_server", "server", rsServer},
	"backend_farm":   {"backend_farm", "farm", rsFarm},
	"backend_server": {"backend_server", "backend", rsBackend},
}

var rsOptions = map[string]rsProperty{
	"start":              {apply: (*rsReader).start},
	"verbosity":          {field: "log.verbosity", apply: (*rsReader).verbosity},
	"description":        {field: "relay.description"},
	"shared_mem":         {field: "limits.memory_bytes", judge: judgeSize},
	"status_refresh_sec": {field: "relay.status.refresh", judge: judgeCount},
	"auto_config":        {field: "relay.trust.auto_config", secret: true},
	"log_size_limit":     {field: "log.max_size"},
	"min_thread":         {judge: judgeThreads, unset: "auto", idle: "there are no threads to keep"},
	"max_thread":         {field: "limits.max_requests", judge: judgeThreads, as: noneIfAuto},
	"up_pad_size":        {field: "relay.lane.pad_size"},

	// Names of ours. Those of the relay door are relay.NAME.
	"x_listen":              {field: "relay.listen"},
	"x_tls_listen":          {field: "relay.tls.listen"},
	"x_tls_cert":            {field: "relay.tls.cert"},
	"x_tls_key":             {field: "relay.tls.key"},
	"x_client_ca":           {field: "relay.tls.client_ca"},
	"x_require_client_cert": {field: "relay.tls.require_client_cert"},
	"x_admin_listen":        {field: "admin.listen"},
	"x_admin_token":         {field: "admin.token", secret: true},
	"x_admin_public":        {field: "admin.public"},
	"x_server_label":        {field: "admin.server_label"},
	"x_client_prefixes":     {field: "relay.client_prefixes"},
	"x_server_prefixes":     {field: "relay.server_prefixes"},
	"x_trusted_proxies":     {field: "relay.trusted_proxies"},
	"x_proxy_protocol":      {field: "relay.trust.proxy_protocol"},
	"x_affinity_key":        {field: "relay.trust.affinity_key", secret: true},
	"x_plain_tokens":        {field: "relay.trust.plain_tokens"},
	"x_public_status":       {field: "relay.status.public"},
	"x_webhook":             {field: "relay.status.webhook", secret: true},
	"x_passport_verbosity":  {field: "log.passport_max_verbosity"},
	"x_handover_wait":       {field: "relay.lane.handover_wait"},
	"x_start_wait":          {field: "relay.lane.start_wait"},
	"x_handover_timeout":    {field: "handover_timeout"},
	"x_drain_timeout":       {field: "drain_timeout"},
	"x_drain_delay":         {field: "drain_delay"},
	"x_drain_grace":         {field: "drain_grace"},
	"x_header_timeout":      {field: "relay.header_timeout"},
	"x_idle_timeout":        {field: "relay.idle_timeout"},
	"x_response_timeout":    {field: "relay.response_timeout"},
	"x_body_min_rate":       {field: "relay.body_min_rate"},
	"x_body_grace":          {field: "relay.body_grace"},
	"x_stream_window":       {field: "relay.stream_window"},
	"x_heartbeat":           {field: "relay.heartbeat"},
	"x_request_line":        {field: "relay.request_line"},
	"x_head":                {field: "relay.head"},
	"x_fields":              {field: "relay.fields"},
	"x_trailer_bytes":       {field: "relay.trailer_bytes"},
	"x_max_request_body":    {field: "relay.max_request_body"},
	"x_max_connections":     {field: "limits.max_connections"},
	"x_access_log":          {field: "relay.access_log"},
	"x_log_file":            {field: "log.file"},
	"x_log_format":          {field: "log.format"},
	"x_log_level":           {field: "log.level"},
	"x_log_records":         {field: "log.records"},
	"x_loops":               {field: "loops"},
}

var rsServer = map[string]rsProperty{
	"enable":      {field: "enable"},
	"host":        {field: "host"},
	"http_port":   {field: "http_port"},
	"https_port":  {field: "https_port"},
	"description": {field: "description"},
}

var rsFarm = map[string]rsProperty{
	"id":                            {field: "id"},
	"enable":                        {field: "enable"},
	"description":                   {field: "description"},
	"verbosity":                     {field: "verbosity"},
	"max_client_buffer":             {field: "max_client_buffer"},
	"client_security":               {field: "client_security"},
	"backend_security":              {field: "backend_security"},
	"active_cookie":                 {field: "active_cookie"},
	"active_header":                 {field: "active_header"},
	"renew_overlapped_cookie":       {field: "renew_overlapped_cookie"},
	"socket_level_affinity":         {field: "socket_level_affinity"},
	"forward_x509_identity":         {field: "forward_x509_identity"},
	"forwarder_certificate_subject": {field: "forwarder_certificate_subject"},
	"forwarder_certificate_issuer":  {field: "forwarder_certificate_issuer"},

	"x_host":              {field: "hosts"},
	"x_hosts":             {field: "hosts"},
	"x_x509_fields":       {field: "x509_fields"},
	"x_affinity_fallback": {field: "affinity_fallback"},
	"x_balance":           {field: "balance"},
	"x_queue_timeout":     {field: "queue_timeout"},
	"x_eject_after":       {field: "eject_after"},
	"x_eject_time":        {field: "eject_time"},
	"x_error_pages":       {field: "error_pages"},
	"x_rewrite_location":  {field: "rewrite_location"},
	"x_max_rps":           {field: "limits.max_rps"},
	"x_max_inflight":      {field: "limits.max_inflight"},
	"x_max_bytes_sec":     {field: "limits.max_bytes_sec"},
	"x_max_request_body":  {field: "limits.max_request_body"},
	"x_allow_ip":          {field: "limits.allow_ip"},
	"x_deny_ip":           {field: "limits.deny_ip"},
}

var rsBackend = map[string]rsProperty{
	"farm":                  {field: "farm"},
	"id":                    {field: "id"},
	"enable":                {field: "enable"},
	"token":                 {field: "token", unset: "!", secret: true},
	"description":           {field: "description"},
	"verbosity":             {field: "verbosity"},
	"mac":                   {field: "mac", unset: "!", judge: judgeMACs, as: commasForMarks},
	"max_junction":          {field: "max_junction"},
	"max_junction_idle_sec": {field: "max_junction_idle", judge: judgeCount},

	"x_second_token":        {field: "second_token", unset: "!", secret: true},
	"x_certificate_subject": {field: "certificate_subject"},
	"x_priority":            {field: "priority"},
}
