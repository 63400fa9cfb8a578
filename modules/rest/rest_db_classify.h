/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_db_classify.h
 * @brief SQLSTATE → rest_db_status, pure, for its unit test and rest_db_classify()
 */
#ifndef REST_DB_CLASSIFY_H
#define REST_DB_CLASSIFY_H

#include "rest_db.h"

/** @param sqlstate  five characters */
rest_db_status rest_db_classify_sqlstate(const char *sqlstate);

#endif /* REST_DB_CLASSIFY_H */
