/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_db_cancel.h
 * @brief Asking the server to stop a statement that nobody waits for any more
 */
#ifndef REST_DB_CANCEL_H
#define REST_DB_CANCEL_H

#include "rest_db.h"

/** Cancel what conn's backend is doing, in the background. Dropped when too many are queued. */
void rest_db_cancel(const rest_db_conn *conn);

#endif /* REST_DB_CANCEL_H */
