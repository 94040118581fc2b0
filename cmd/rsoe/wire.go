package main

import "roundhouse/server/outbound"

// runEnabler serves a back-end server until ctx ends and it has drained.
var runEnabler = outbound.Run
