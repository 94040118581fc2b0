package main

import "roundhouse/server/outbound"

// runEnabler serves a back-end server until ctx ends and it has drained; it calls ready when the first lane is up.
var runEnabler = outbound.RunReady
