package message

import "fmt"

// Code is the number of an error that crosses the wire.
type Code int32

// The codes. Those from 550 are ours.
const (
	CodeOK              Code = 0
	CodeC               Code = 1
	CodeOS              Code = 2
	CodeNull            Code = 3
	CodeTooSmall        Code = 4
	CodeTooLarge        Code = 5
	CodeAlreadyExists   Code = 6
	CodeInvalid         Code = 7
	CodeDoesNotExist    Code = 8
	CodeTimeout         Code = 9
	CodeEOF             Code = 10
	CodeSame            Code = 11
	CodeUnknown         Code = 12
	CodeRequired        Code = 13
	CodeTypeInvalid     Code = 14
	CodeTypeMismatch    Code = 15
	CodeMessageInvalid  Code = 507
	CodeMessageEnd      Code = 508
	CodeFieldInvalid    Code = 509
	CodeFieldMismatch   Code = 510
	CodeInProgress      Code = 512
	CodeFailure         Code = 514
	CodeDenied          Code = 515
	CodeInUse           Code = 517
	CodeSenderTimeout   Code = 518
	CodeReceiverTimeout Code = 519
	CodeReceiverExit    Code = 520
	CodeNoReceivers     Code = 521
	CodeProtocol        Code = 522
	CodeControlRejected Code = 525
	CodeExpired         Code = 560
)

var codeTexts = map[Code]string{
	CodeOK: "ok", CodeC: "C error", CodeOS: "operating system error", CodeNull: "null", CodeTooSmall: "too small",
	CodeTooLarge: "too large", CodeAlreadyExists: "already exists", CodeInvalid: "invalid", CodeDoesNotExist: "does not exist",
	CodeTimeout: "timeout", CodeEOF: "end of file", CodeSame: "same", CodeUnknown: "unknown", CodeRequired: "required",
	CodeTypeInvalid: "type invalid", CodeTypeMismatch: "type mismatch", CodeMessageInvalid: "message invalid",
	CodeMessageEnd: "end of message", CodeFieldInvalid: "field type invalid", CodeFieldMismatch: "field type mismatch",
	CodeInProgress: "in progress", CodeFailure: "failure detected", CodeDenied: "license denied", CodeInUse: "in use",
	CodeSenderTimeout: "guaranteed delivery: sender timeout", CodeReceiverTimeout: "guaranteed delivery: receiver timeout",
	CodeReceiverExit: "guaranteed delivery: receiver exit", CodeNoReceivers: "guaranteed delivery: no receivers",
	CodeProtocol: "protocol mismatch", CodeControlRejected: "server rejected control message", CodeExpired: "expired",
}

// String returns a few words, or the number.
func (c Code) String() string {
	if text, ok := codeTexts[c]; ok {
		return text
	}
	return fmt.Sprintf("error %d", int32(c))
}
