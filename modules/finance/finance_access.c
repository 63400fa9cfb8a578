/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Who may do what (finance-api.md, decisions.md 7): the role first, then the property. A property
 * of another organisation is answered as one that does not exist, with the same body. */
#include "finance.h"

static const rest_problem forbidden_role = {
    HTTP_FORBIDDEN, "forbidden", "This role has no access to an organisation's finances.", NULL, 0
};

int finance_access_role(const tenant_identity *caller, rest_problem *problem)
{
    static const char *const roles[] = { "owner", "manager", "staff", NULL };
    const char *const *role = roles;

    while (*role && strcmp(*role, caller->role) != 0) {
        role++;
    }
    if (*role && caller->org) {
        return 1;
    }
    *problem = forbidden_role;
    return 0;
}

void finance_access_problem(finance_access access, const char *what, rest_problem *problem)
{
    static const rest_problem absent = { HTTP_NOT_FOUND, "not_found", NULL, NULL, 0 };
    static const rest_problem forbidden = {
        HTTP_FORBIDDEN, "forbidden", "The caller was not granted this property.", NULL, 0
    };

    *problem = access == FINANCE_ABSENT ? absent : forbidden;
    if (access == FINANCE_ABSENT) {
        problem->detail = what;
    }
}
