/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_storage.h
 * @brief Requests that stand for no file
 *
 * A location with a handler of ours is no place on the disk: to say so saves the walk over the
 * folders that its URL would have, nine system calls and a merge of all modules' settings
 * (parking.md). Like with ProxyPass, what <Directory> and <Files> say does not hold there;
 * <Location> does.
 *
 * httpd forgets a URL's sections before it asks where the file is, so the answer is kept from one
 * hook to the next, in the module's part of r->request_config, which is for nothing else.
 */
#ifndef REST_STORAGE_H
#define REST_STORAGE_H

#include <httpd.h>
#include <http_config.h>

/** In a translate_name hook: what SetHandler names for the URL, or NULL. */
const char *rest_storage_handler(request_rec *r);

/** In a translate_name hook: the request stands for no file. @return DECLINED */
int rest_storage_none(request_rec *r, const module *ours);

/** As a map_to_storage hook's answer. */
int rest_storage_answer(const request_rec *r, const module *ours);

#endif /* REST_STORAGE_H */
