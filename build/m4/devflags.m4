AC_DEFUN([OG_ENABLE_WERROR], [
  AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [fail on warnings])])
  WARN_CFLAGS="-std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith -Wshadow -Wundef -Wvla -Wformat=2 -Wwrite-strings -Wdeclaration-after-statement"
  AS_IF([test "x$enable_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
  AC_SUBST([WARN_CFLAGS])
])
AC_DEFUN([OG_ENABLE_COVERAGE], [
  AC_ARG_ENABLE([coverage], [AS_HELP_STRING([--enable-coverage], [build with gcov])])
  AS_IF([test "x$enable_coverage" = xyes], [DEV_CFLAGS="$DEV_CFLAGS --coverage -O0 -fprofile-update=atomic" DEV_LDFLAGS="$DEV_LDFLAGS --coverage"])
  AM_CONDITIONAL([COVERAGE], [test "x$enable_coverage" = xyes])
])
AC_DEFUN([OG_ENABLE_TEST_HOOKS], [
  AC_ARG_ENABLE([test-hooks], [AS_HELP_STRING([--enable-test-hooks], [let tests stop and kill processes at chosen places; never for use])])
  TEST_HOOKS=no
  AS_IF([test "x$enable_test_hooks" = xyes], [TEST_HOOKS=yes DEV_CFLAGS="$DEV_CFLAGS -DOG_TEST_HOOKS"])
  AC_SUBST([TEST_HOOKS])
])
AC_DEFUN([OG_ENABLE_SANITIZER], [
  AC_ARG_ENABLE([sanitizer], [AS_HELP_STRING([--enable-sanitizer=LIST], [e.g. address,undefined or thread])])
  AS_CASE(["x$enable_sanitizer"], [x|xno], [SANITIZER=],
    [SANITIZER=$enable_sanitizer
     DEV_CFLAGS="$DEV_CFLAGS -fsanitize=$SANITIZER -fno-sanitize=object-size -fno-omit-frame-pointer -U_FORTIFY_SOURCE -O1"
     DEV_LDFLAGS="$DEV_LDFLAGS -fsanitize=$SANITIZER"])
  AC_SUBST([SANITIZER])
  AC_SUBST([DEV_CFLAGS])
  AC_SUBST([DEV_LDFLAGS])
])
