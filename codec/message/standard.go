package message

// The standard message types. User-defined types have positive numbers; 0 and below are reserved.
const (
	TypeConnectResult                  Type = -74 // Welcome
	TypeConnectCall                    Type = -75 // Hello
	TypeClientConnectResult            Type = -82
	TypeClientConnectCall              Type = -83
	TypeClientOpenResult               Type = -84
	TypeClientOpenCall                 Type = -85
	TypeClientAuthChallengeResult      Type = -86
	TypeClientAuthChallengeCall        Type = -87
	TypeClientCloseResult              Type = -88
	TypeClientCloseCall                Type = -89
	TypeServerStopResult               Type = -3 // StopResult
	TypeServerStopCall                 Type = -4 // StopCall
	TypeDisconnect                     Type = -5 // Disconnect
	TypeConnInit                       Type = -10
	TypeGMDAck                         Type = -11
	TypeGMDNack                        Type = -12
	TypeGMDFailure                     Type = -13 // made by the publisher's library, never routed
	TypeGMDDelete                      Type = -14
	TypeGMDStatusResult                Type = -15
	TypeGMDStatusCall                  Type = -16
	TypeGMDInitResult                  Type = -77
	TypeGMDInitCall                    Type = -78
	TypeKeepAliveResult                Type = -18
	TypeKeepAliveCall                  Type = -19
	TypeBooleanData                    Type = -20
	TypeEnumData                       Type = -21
	TypeNumericData                    Type = -22
	TypeStringData                     Type = -23
	TypeHistoryBooleanData             Type = -24
	TypeHistoryEnumData                Type = -25
	TypeHistoryNumericData             Type = -26
	TypeHistoryStringData              Type = -27
	TypeEndOfFrame                     Type = -28
	TypeTime                           Type = -29
	TypeControl                        Type = -30 // Control
	TypeVarValueResult                 Type = -31
	TypeVarValueCall                   Type = -32
	TypeInfo                           Type = -40
	TypeAlert                          Type = -41
	TypeCancelAlert                    Type = -42
	TypeWarning                        Type = -43
	TypeCancelWarning                  Type = -44
	TypeObjectData                     Type = -54
	TypeSubjectRetrieve                Type = -73
	TypeSubjectSetSubscribe            Type = -76    // SetSubscribe
	TypeBatchSubjectSetSubscribe       Type = -11601 // BatchSubscribe
	TypeBatchSubjectSetSubscribeResult Type = -11600 // BatchResult
	TypeAny                            Type = -79    // stands for every type; never sent
	TypeGrpStopRTgms                   Type = -99
	TypeProperties                     Type = -801
	TypeEncrypt                        Type = -900
	TypeJMSStream                      Type = -910
	TypeJMSMap                         Type = -911
	TypeJMSText                        Type = -912
	TypeJMSObject                      Type = -913
	TypeJMSBytes                       Type = -914 // what NATS clients send and get
	TypeAdminSetOutboundRateParams     Type = -11700
)

// grammarVerbose is the grammar of a type whose messages say the kind of each field.
const grammarVerbose = "verbose"

// standard has the names and the grammars; see init in types.go.
var standard = []Definition{
	{TypeConnectResult, "connect_result", grammarVerbose},
	{TypeConnectCall, "connect_call", grammarVerbose},
	{TypeClientConnectResult, "client_connect_result", grammarVerbose},
	{TypeClientConnectCall, "client_connect_call", grammarVerbose},
	{TypeClientOpenResult, "client_open_result", grammarVerbose},
	{TypeClientOpenCall, "client_open_call", grammarVerbose},
	{TypeClientAuthChallengeResult, "client_auth_challenge_result", grammarVerbose},
	{TypeClientAuthChallengeCall, "client_auth_challenge_call", grammarVerbose},
	{TypeClientCloseResult, "client_close_result", grammarVerbose},
	{TypeClientCloseCall, "client_close_call", grammarVerbose},
	{TypeServerStopResult, "server_stop_result", "str /*status*/ int4 /*code*/"},
	{TypeServerStopCall, "server_stop_call", "int4 /*stop_type*/"},
	{TypeDisconnect, "disconnect", "str /*server_disconnect_mode*/"},
	{TypeConnInit, "conn_init", grammarVerbose},
	{TypeGMDAck, "gmd_ack", "int4 /*seq_num*/"},
	{TypeGMDNack, "gmd_nack", "int4 /*seq_num*/ str /*process*/ int4 /*err_num*/"},
	{TypeGMDFailure, "gmd_failure", "msg /*undelivered*/ str /*failed_process*/ int4 /*err_num*/ real8 /*send_time*/"},
	{TypeGMDDelete, "gmd_delete", "int4 /*seq_num*/"},
	{TypeGMDStatusResult, "gmd_status_result", "int4 /*seq_num*/ str_array /*acked*/ str_array /*failed*/ str_array /*pending*/"},
	{TypeGMDStatusCall, "gmd_status_call", "int4 /*seq_num*/"},
	{TypeGMDInitResult, "gmd_init_result", "str /*subject*/"},
	{TypeGMDInitCall, "gmd_init_call", "str /*subject*/"},
	{TypeKeepAliveResult, "keep_alive_result", ""},
	{TypeKeepAliveCall, "keep_alive_call", ""},
	{TypeBooleanData, "boolean_data", "{ id bool }"},
	{TypeEnumData, "enum_data", "{ id id }"},
	{TypeNumericData, "numeric_data", "{ id real8 }"},
	{TypeStringData, "string_data", "{ id str }"},
	{TypeHistoryBooleanData, "history_boolean_data", grammarVerbose},
	{TypeHistoryEnumData, "history_enum_data", grammarVerbose},
	{TypeHistoryNumericData, "history_numeric_data", grammarVerbose},
	{TypeHistoryStringData, "history_string_data", grammarVerbose},
	{TypeEndOfFrame, "end_of_frame", ""},
	{TypeTime, "time", "real8"},
	{TypeControl, "control", "str /*command*/"},
	{TypeVarValueResult, "var_value_result", grammarVerbose},
	{TypeVarValueCall, "var_value_call", grammarVerbose},
	{TypeInfo, "info", "str"},
	{TypeAlert, "alert", "id /*object*/ str /*message*/"},
	{TypeCancelAlert, "cancel_alert", "id /*object*/ str /*message*/"},
	{TypeWarning, "warning", "id /*object*/ str /*message*/"},
	{TypeCancelWarning, "cancel_warning", "id /*object*/ str /*message*/"},
	{TypeObjectData, "object_data", grammarVerbose},
	{TypeSubjectRetrieve, "subject_retrieve", "str /*subject*/"},
	{TypeSubjectSetSubscribe, "subject_set_subscribe", "str /*subject*/ bool /*start*/ bool /*load_balance*/"},
	{TypeBatchSubjectSetSubscribe, "batch_subject_set_subscribe", "str_array /*subject*/ bool_array /*start*/ bool_array /*load_balance*/"},
	{TypeBatchSubjectSetSubscribeResult, "batch_subject_set_subscribe_result", "str_array /*subject*/ int4_array /*code*/"},
	{TypeAny, "any", grammarVerbose},
	{TypeGrpStopRTgms, "grp_stop_rtgms", grammarVerbose},
	{TypeProperties, "properties", grammarVerbose},
	{TypeEncrypt, "encrypt", grammarVerbose},
	{TypeJMSStream, "jms_stream", grammarVerbose},
	{TypeJMSMap, "jms_map", grammarVerbose},
	{TypeJMSText, "jms_text", grammarVerbose},
	{TypeJMSObject, "jms_object", grammarVerbose},
	{TypeJMSBytes, "jms_bytes", grammarVerbose},
	{TypeAdminSetOutboundRateParams, "admin_set_outbound_rate_params", "str /*conn_or_group*/ int4 int4 real8"},
}
