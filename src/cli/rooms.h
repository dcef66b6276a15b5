/* SPDX-License-Identifier: MIT */
/* Rooms that are running: each has a socket, named by the pid of its `isolde run`, beside the journals. */
#ifndef CLI_ROOMS_H
#define CLI_ROOMS_H

#include <jansson.h>
#include <sys/types.h>

#include "base/why.h"
#include "cli/journals.h"

/* For the room of this process. RUNTIME_DIRECTORY */
int rooms_new_path(char path[static JOURNAL_PATH], struct why *why);

/*
 * A connection to the room of pid, which is its `isolde run` or any process in it; 0: the only room there is. Names
 * that a killed run has left are removed. ROOM_MISSING; ROOM_AMBIGUOUS lists the rooms.
 */
int rooms_connect(pid_t pid, struct why *why);

/* What the room at the other side of fd has, with so many mappings one by one. Takes fd. ROOM_SILENT */
int rooms_ask(int fd, unsigned mappings, json_t **ret, struct why *why);

#endif
