package message

// The types of monitoring: a watch is set and answered by one status at once and one for each change; a poll is answered once.
const (
	TypeMonProjectNamesSetWatch            Type = -400
	TypeMonProjectNamesStatus              Type = -401
	TypeMonClientNamesSetWatch             Type = -402
	TypeMonClientNamesStatus               Type = -403
	TypeMonServerNamesSetWatch             Type = -404
	TypeMonServerNamesStatus               Type = -405
	TypeMonSubjectNamesSetWatch            Type = -406
	TypeMonSubjectNamesStatus              Type = -407
	TypeMonSubjectSubscribeSetWatch        Type = -408
	TypeMonSubjectSubscribeStatus          Type = -409
	TypeMonClientSubscribeSetWatch         Type = -410
	TypeMonClientSubscribeStatus           Type = -411
	TypeMonClientTimeSetWatch              Type = -412
	TypeMonClientTimeStatus                Type = -413
	TypeMonClientBufferSetWatch            Type = -414
	TypeMonClientBufferStatus              Type = -415
	TypeMonClientMsgRecvSetWatch           Type = -416
	TypeMonClientMsgRecvStatus             Type = -417
	TypeMonClientMsgSendSetWatch           Type = -418
	TypeMonClientMsgSendStatus             Type = -419
	TypeMonServerConnSetWatch              Type = -420
	TypeMonServerConnStatus                Type = -421
	TypeMonServerCongestionSetWatch        Type = -482
	TypeMonServerCongestionStatus          Type = -483
	TypeMonServerMaxClientLicensesSetWatch Type = -484
	TypeMonServerMaxClientLicensesStatus   Type = -485
	TypeMonClientCongestionSetWatch        Type = -486
	TypeMonClientCongestionStatus          Type = -487
	TypeMonProjectNamesPollResult          Type = -430
	TypeMonProjectNamesPollCall            Type = -431
	TypeMonClientNamesPollResult           Type = -432
	TypeMonClientNamesPollCall             Type = -433
	TypeMonServerNamesPollResult           Type = -434
	TypeMonServerNamesPollCall             Type = -435
	TypeMonSubjectNamesPollResult          Type = -436
	TypeMonSubjectNamesPollCall            Type = -437
	TypeMonSubjectSubscribePollResult      Type = -438
	TypeMonSubjectSubscribePollCall        Type = -439
	TypeMonClientSubscribePollResult       Type = -440
	TypeMonClientSubscribePollCall         Type = -441
	TypeMonClientGeneralPollResult         Type = -442
	TypeMonClientGeneralPollCall           Type = -443
	TypeMonClientTimePollResult            Type = -444
	TypeMonClientTimePollCall              Type = -445
	TypeMonClientBufferPollResult          Type = -446
	TypeMonClientBufferPollCall            Type = -447
	TypeMonClientOptionPollResult          Type = -448
	TypeMonClientOptionPollCall            Type = -449
	TypeMonClientMsgTypePollResult         Type = -450
	TypeMonClientMsgTypePollCall           Type = -451
	TypeMonClientCBPollResult              Type = -452
	TypeMonClientCBPollCall                Type = -453
	TypeMonClientMsgTrafficPollResult      Type = -454
	TypeMonClientMsgTrafficPollCall        Type = -455
	TypeMonClientSubjectPollResult         Type = -456
	TypeMonClientSubjectPollCall           Type = -457
	TypeMonServerGeneralPollResult         Type = -458
	TypeMonServerGeneralPollCall           Type = -459
	TypeMonServerTimePollResult            Type = -460
	TypeMonServerTimePollCall              Type = -461
	TypeMonServerBufferPollResult          Type = -462
	TypeMonServerBufferPollCall            Type = -463
	TypeMonServerOptionPollResult          Type = -464
	TypeMonServerOptionPollCall            Type = -465
	TypeMonServerConnPollResult            Type = -466
	TypeMonServerConnPollCall              Type = -467
	TypeMonServerRoutePollResult           Type = -468
	TypeMonServerRoutePollCall             Type = -469
	TypeMonServerMsgTrafficPollResult      Type = -470
	TypeMonServerMsgTrafficPollCall        Type = -471
	TypeMonClientNamesNumPollResult        Type = -472
	TypeMonClientNamesNumPollCall          Type = -473
	TypeMonClientSubscribeNumPollResult    Type = -474
	TypeMonClientSubscribeNumPollCall      Type = -475
	TypeMonClientCPUPollResult             Type = -476
	TypeMonClientCPUPollCall               Type = -477
	TypeMonServerCPUPollResult             Type = -478
	TypeMonServerCPUPollCall               Type = -479
	TypeMonClientInfoPollResult            Type = -480
	TypeMonClientInfoPollCall              Type = -481
	TypeMonClientExtPollResult             Type = -488
	TypeMonClientExtPollCall               Type = -489
	TypeMonClientVersionPollResult         Type = -490
	TypeMonClientVersionPollCall           Type = -491
	TypeMonServerVersionPollResult         Type = -492
	TypeMonServerVersionPollCall           Type = -493
	TypeMonServerStartTimePollResult       Type = -494
	TypeMonServerStartTimePollCall         Type = -495
	TypeMonClientMsgTypeExPollResult       Type = -1500
	TypeMonClientMsgTypeExPollCall         Type = -1501
	TypeMonClientSubjectExPollResult       Type = -1502
	TypeMonClientSubjectExPollCall         Type = -1503
	TypeMonServerMsgTrafficExPollResult    Type = -1504
	TypeMonServerMsgTrafficExPollCall      Type = -1505
)

// monitoring is standard for the types of monitoring.
var monitoring = []Definition{
	{TypeMonProjectNamesSetWatch, "mon_project_names_set_watch", grammarVerbose},
	{TypeMonProjectNamesStatus, "mon_project_names_status", "str_array /*current*/ str /*created*/ str /*destroyed*/"},
	{TypeMonClientNamesSetWatch, "mon_client_names_set_watch", grammarVerbose},
	{TypeMonClientNamesStatus, "mon_client_names_status", "str_array /*names*/ str_array /*info*/ str_array /*servers*/ str /*created*/ str /*destroyed*/"},
	{TypeMonServerNamesSetWatch, "mon_server_names_set_watch", grammarVerbose},
	{TypeMonServerNamesStatus, "mon_server_names_status", "str_array /*names*/ str_array /*info*/ str /*created*/ str /*destroyed*/"},
	{TypeMonSubjectNamesSetWatch, "mon_subject_names_set_watch", grammarVerbose},
	{TypeMonSubjectNamesStatus, "mon_subject_names_status", "str_array /*current*/ str /*created*/ str /*destroyed*/"},
	{TypeMonSubjectSubscribeSetWatch, "mon_subject_subscribe_set_watch", grammarVerbose},
	{TypeMonSubjectSubscribeStatus, "mon_subject_subscribe_status", "str /*subject*/ str_array /*subscribers*/ str /*started*/ str /*stopped*/"},
	{TypeMonClientSubscribeSetWatch, "mon_client_subscribe_set_watch", grammarVerbose},
	{TypeMonClientSubscribeStatus, "mon_client_subscribe_status", "str /*client*/ str_array /*subjects*/ str /*started*/ str /*stopped*/"},
	{TypeMonClientTimeSetWatch, "mon_client_time_set_watch", grammarVerbose},
	{TypeMonClientTimeStatus, "mon_client_time_status", "str /*client*/ real8 /*time*/ str /*formatted*/ real8 /*wall*/ str /*wall_formatted*/ real8 /*cpu*/ int4 /*frames*/"},
	{TypeMonClientBufferSetWatch, "mon_client_buffer_set_watch", grammarVerbose},
	{TypeMonClientBufferStatus, "mon_client_buffer_status", "str /*client*/ int4 /*queued_msgs*/ int4 /*queued_bytes*/ int4 /*read_buffer*/ int4 /*write_buffer*/"},
	{TypeMonClientMsgRecvSetWatch, "mon_client_msg_recv_set_watch", grammarVerbose},
	{TypeMonClientMsgRecvStatus, "mon_client_msg_recv_status", "str /*client*/ msg int4 /*inserted*/ int4 /*position*/ binary /*id*/ binary /*queue*/"},
	{TypeMonClientMsgSendSetWatch, "mon_client_msg_send_set_watch", grammarVerbose},
	{TypeMonClientMsgSendStatus, "mon_client_msg_send_status", "str /*client*/ msg"},
	{TypeMonServerConnSetWatch, "mon_server_conn_set_watch", grammarVerbose},
	{TypeMonServerConnStatus, "mon_server_conn_status", "str_array /*server_a*/ str_array /*server_b*/ str_array /*lcn*/ int4_array /*weight*/ str /*created_a*/ str /*created_b*/ str /*destroyed_a*/ str /*destroyed_b*/"},
	{TypeMonServerCongestionSetWatch, "mon_server_congestion_set_watch", grammarVerbose},
	{TypeMonServerCongestionStatus, "mon_server_congestion_status", "str /*server*/ str /*process*/ int4 /*bytes*/ int4 /*high*/ int4 /*low*/ bool /*congested*/"},
	{TypeMonServerMaxClientLicensesSetWatch, "mon_server_max_client_licenses_set_watch", grammarVerbose},
	{TypeMonServerMaxClientLicensesStatus, "mon_server_max_client_licenses_status", "str /*server*/ int4 /*limit*/ int4 /*current*/"},
	{TypeMonClientCongestionSetWatch, "mon_client_congestion_set_watch", grammarVerbose},
	{TypeMonClientCongestionStatus, "mon_client_congestion_status", "str /*client*/ int4 /*bytes*/ int4 /*high*/ int4 /*low*/ int4 /*congested*/"},
	{TypeMonProjectNamesPollResult, "mon_project_names_poll_result", "str_array"},
	{TypeMonProjectNamesPollCall, "mon_project_names_poll_call", grammarVerbose},
	{TypeMonClientNamesPollResult, "mon_client_names_poll_result", "str_array /*names*/ str_array /*info*/ str_array /*servers*/"},
	{TypeMonClientNamesPollCall, "mon_client_names_poll_call", grammarVerbose},
	{TypeMonServerNamesPollResult, "mon_server_names_poll_result", "str_array /*names*/ str_array /*info*/"},
	{TypeMonServerNamesPollCall, "mon_server_names_poll_call", grammarVerbose},
	{TypeMonSubjectNamesPollResult, "mon_subject_names_poll_result", "str_array"},
	{TypeMonSubjectNamesPollCall, "mon_subject_names_poll_call", grammarVerbose},
	{TypeMonSubjectSubscribePollResult, "mon_subject_subscribe_poll_result", "{ str /*subject*/ str_array /*clients*/ }"},
	{TypeMonSubjectSubscribePollCall, "mon_subject_subscribe_poll_call", grammarVerbose},
	{TypeMonClientSubscribePollResult, "mon_client_subscribe_poll_result", "{ str /*client*/ str_array /*subjects*/ }"},
	{TypeMonClientSubscribePollCall, "mon_client_subscribe_poll_call", grammarVerbose},
	{TypeMonClientGeneralPollResult, "mon_client_general_poll_result", "str /*client*/ str /*ident*/ str /*node*/ str /*user*/ int4 /*pid*/ str /*project*/ str /*server*/ str /*arch*/ int4 /*sbrk*/ int4 /*sbrk_delta*/ int2 /*int_format*/ int2 /*real_format*/ str /*lcn*/ int4_array /*licenses*/ str_array /*extra_licenses*/ str_array /*subjects*/"},
	{TypeMonClientGeneralPollCall, "mon_client_general_poll_call", grammarVerbose},
	{TypeMonClientTimePollResult, "mon_client_time_poll_result", "str /*client*/ real8 /*time*/ str /*formatted*/ real8 /*wall*/ str /*wall_formatted*/ real8 /*cpu*/ int4 /*frames*/"},
	{TypeMonClientTimePollCall, "mon_client_time_poll_call", grammarVerbose},
	{TypeMonClientBufferPollResult, "mon_client_buffer_poll_result", "str /*client*/ int4 /*queued_msgs*/ int4 /*queued_bytes*/ int4 /*read_buffer*/ int4 /*write_buffer*/"},
	{TypeMonClientBufferPollCall, "mon_client_buffer_poll_call", grammarVerbose},
	{TypeMonClientOptionPollResult, "mon_client_option_poll_result", "str /*client*/ { str /*option*/ int2 /*type*/ str /*value*/ int4 /*required*/ str_array /*legal*/ }"},
	{TypeMonClientOptionPollCall, "mon_client_option_poll_call", grammarVerbose},
	{TypeMonClientMsgTypePollResult, "mon_client_msg_type_poll_result", "str /*client*/ { str /*name*/ int4 /*number*/ str /*grammar*/ int4 /*priority_known*/ int2 /*priority*/ int4 /*delivery_mode*/ int4 /*user_prop*/ int4 /*read_cbs*/ int4 /*write_cbs*/ int4 /*process_cbs*/ int4 /*queue_cbs*/ int4 /*msgs_sent*/ int4 /*msgs_recv*/ int4 /*bytes_sent*/ int4 /*bytes_recv*/ }"},
	{TypeMonClientMsgTypePollCall, "mon_client_msg_type_poll_call", grammarVerbose},
	{TypeMonClientCBPollResult, "mon_client_cb_poll_result", "str /*client*/ int4 /*read*/ int4 /*write*/ int4 /*process*/ int4 /*queue*/ int4 /*default*/ int4 /*error*/ int4 /*server_create*/ int4 /*server_destroy*/"},
	{TypeMonClientCBPollCall, "mon_client_cb_poll_call", grammarVerbose},
	{TypeMonClientMsgTrafficPollResult, "mon_client_msg_traffic_poll_result", "str /*client*/ int4 /*msgs_sent*/ int4 /*msgs_recv*/ int4 /*bytes_sent*/ int4 /*bytes_recv*/"},
	{TypeMonClientMsgTrafficPollCall, "mon_client_msg_traffic_poll_call", grammarVerbose},
	{TypeMonClientSubjectPollResult, "mon_client_subject_poll_result", "str /*client*/ { str /*subject*/ int4 /*msgs_sent*/ int4 /*msgs_recv*/ int4 /*bytes_sent*/ int4 /*bytes_recv*/ }"},
	{TypeMonClientSubjectPollCall, "mon_client_subject_poll_call", grammarVerbose},
	{TypeMonServerGeneralPollResult, "mon_server_general_poll_result", "str /*server*/ str /*ident*/ str /*node*/ str /*user*/ int4 /*pid*/ str /*arch*/ int4 /*sbrk*/ int4 /*sbrk_delta*/ int2 /*int_format*/ int2 /*real_format*/ str /*command_file*/ int4 /*no_daemon*/ int4 /*cmd_mode*/ str_array /*clients*/ str_array /*servers*/ str_array /*server_subjects*/ str_array /*client_subjects*/"},
	{TypeMonServerGeneralPollCall, "mon_server_general_poll_call", grammarVerbose},
	{TypeMonServerTimePollResult, "mon_server_time_poll_result", "str /*server*/ real8 /*wall*/ str /*formatted*/ real8 /*cpu*/"},
	{TypeMonServerTimePollCall, "mon_server_time_poll_call", grammarVerbose},
	{TypeMonServerBufferPollResult, "mon_server_buffer_poll_result", "str /*server*/ { str /*process*/ int4 /*queued_msgs*/ int4 /*queued_bytes*/ int4 /*read_buffer*/ int4 /*write_buffer*/ }"},
	{TypeMonServerBufferPollCall, "mon_server_buffer_poll_call", grammarVerbose},
	{TypeMonServerOptionPollResult, "mon_server_option_poll_result", "str /*server*/ { str /*option*/ int2 /*type*/ str /*value*/ int4 /*required*/ str_array /*legal*/ }"},
	{TypeMonServerOptionPollCall, "mon_server_option_poll_call", grammarVerbose},
	{TypeMonServerConnPollResult, "mon_server_conn_poll_result", "str_array /*server_a*/ str_array /*server_b*/ str_array /*lcn*/ int4_array /*weight*/"},
	{TypeMonServerConnPollCall, "mon_server_conn_poll_call", grammarVerbose},
	{TypeMonServerRoutePollResult, "mon_server_route_poll_result", "str /*server*/ { str /*dest*/ str_array /*neighbours*/ int4 /*distance*/ str_array /*next*/ }"},
	{TypeMonServerRoutePollCall, "mon_server_route_poll_call", grammarVerbose},
	{TypeMonServerMsgTrafficPollResult, "mon_server_msg_traffic_poll_result", "str /*server*/ { str /*process*/ int4 /*msgs_sent*/ int4 /*msgs_recv*/ int4 /*bytes_sent*/ int4 /*bytes_recv*/ }"},
	{TypeMonServerMsgTrafficPollCall, "mon_server_msg_traffic_poll_call", grammarVerbose},
	{TypeMonClientNamesNumPollResult, "mon_client_names_num_poll_result", "int4"},
	{TypeMonClientNamesNumPollCall, "mon_client_names_num_poll_call", grammarVerbose},
	{TypeMonClientSubscribeNumPollResult, "mon_client_subscribe_num_poll_result", "str_array /*clients*/ int4_array /*counts*/"},
	{TypeMonClientSubscribeNumPollCall, "mon_client_subscribe_num_poll_call", grammarVerbose},
	{TypeMonClientCPUPollResult, "mon_client_cpu_poll_result", "str /*client*/ real4 /*percent*/"},
	{TypeMonClientCPUPollCall, "mon_client_cpu_poll_call", grammarVerbose},
	{TypeMonServerCPUPollResult, "mon_server_cpu_poll_result", "str /*server*/ real4 /*percent*/"},
	{TypeMonServerCPUPollCall, "mon_server_cpu_poll_call", grammarVerbose},
	{TypeMonClientInfoPollResult, "mon_client_info_poll_result", "str /*client*/ str /*ident*/ str /*node*/ str /*user*/ int4 /*pid*/ str /*project*/ str /*server*/ str /*arch*/ int4 /*sbrk*/ int4 /*sbrk_delta*/ int2 /*int_format*/ int2 /*real_format*/ str /*lcn*/ int4 /*subscribes*/ real4 /*cpu*/"},
	{TypeMonClientInfoPollCall, "mon_client_info_poll_call", grammarVerbose},
	{TypeMonClientExtPollResult, "mon_client_ext_poll_result", grammarVerbose},
	{TypeMonClientExtPollCall, "mon_client_ext_poll_call", grammarVerbose},
	{TypeMonClientVersionPollResult, "mon_client_version_poll_result", "str /*client*/ int4 /*version*/"},
	{TypeMonClientVersionPollCall, "mon_client_version_poll_call", grammarVerbose},
	{TypeMonServerVersionPollResult, "mon_server_version_poll_result", "str /*server*/ int4 /*version*/"},
	{TypeMonServerVersionPollCall, "mon_server_version_poll_call", grammarVerbose},
	{TypeMonServerStartTimePollResult, "mon_server_start_time_poll_result", "str /*server*/ real8 /*start*/ real8 /*uptime*/"},
	{TypeMonServerStartTimePollCall, "mon_server_start_time_poll_call", grammarVerbose},
	{TypeMonClientMsgTypeExPollResult, "mon_client_msg_type_ex_poll_result", grammarVerbose},
	{TypeMonClientMsgTypeExPollCall, "mon_client_msg_type_ex_poll_call", grammarVerbose},
	{TypeMonClientSubjectExPollResult, "mon_client_subject_ex_poll_result", "str /*client*/ str_array /*subjects*/ int8_array /*msgs_sent*/ int8_array /*msgs_recv*/ int8_array /*bytes_sent*/ int8_array /*bytes_recv*/"},
	{TypeMonClientSubjectExPollCall, "mon_client_subject_ex_poll_call", grammarVerbose},
	{TypeMonServerMsgTrafficExPollResult, "mon_server_msg_traffic_ex_poll_result", "str /*server*/ str_array /*processes*/ int8_array /*msgs_sent*/ int8_array /*msgs_recv*/ int8_array /*bytes_sent*/ int8_array /*bytes_recv*/"},
	{TypeMonServerMsgTrafficExPollCall, "mon_server_msg_traffic_ex_poll_call", grammarVerbose},
}
