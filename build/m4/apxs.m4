# OG_PATH_APXS - find apxs, ask it for everything, substitute:
#   APXS HTTPD HTTPD_CPPFLAGS HTTPD_VERSION moduledir
AC_DEFUN([OG_PATH_APXS], [
  AC_ARG_WITH([apxs],
    [AS_HELP_STRING([--with-apxs=PATH], [apxs of the httpd to build for])],
    [APXS=$withval], [AC_PATH_PROGS([APXS], [apxs2 apxs], [no], [$PATH:/usr/sbin:/usr/local/apache2/bin])])
  AS_IF([test ! -x "$APXS"], [AC_MSG_ERROR([apxs not found: install apache2-dev or use --with-apxs])])
  AC_SUBST([APXS])

  apxs_includedir=`$APXS -q INCLUDEDIR`
  apr_config=`$APXS -q APR_CONFIG`
  apu_config=`$APXS -q APU_CONFIG`
  HTTPD_VERSION=`$APXS -q HTTPD_VERSION`
  HTTPD=`$APXS -q SBINDIR`/`$APXS -q PROGNAME`
  # -isystem: warnings inside the server's headers are not ours
  HTTPD_CPPFLAGS="`$APXS -q EXTRA_CPPFLAGS` -isystem $apxs_includedir"
  for i in `$apr_config --includes` `$apu_config --includes`; do
    HTTPD_CPPFLAGS="$HTTPD_CPPFLAGS -isystem ${i#-I}"
  done
  APR_LIBS="`$apu_config --link-ld --libs` `$apr_config --link-ld --libs`"
  AC_SUBST([HTTPD_CPPFLAGS])
  AC_SUBST([HTTPD_VERSION])
  AC_SUBST([APR_LIBS])
  AC_PATH_PROGS([HTTPD], [apache2 httpd], [$HTTPD], [$PATH:/usr/sbin])

  AC_ARG_WITH([moduledir],
    [AS_HELP_STRING([--with-moduledir=DIR], [where modules go @<:@apxs -q LIBEXECDIR@:>@])],
    [moduledir=$withval], [moduledir=`$APXS -q LIBEXECDIR`])
  AC_SUBST([moduledir])
  stockdir=`$APXS -q LIBEXECDIR`
  AC_SUBST([stockdir])

  AC_MSG_CHECKING([for httpd >= 2.4.50])
  AS_VERSION_COMPARE([$HTTPD_VERSION], [2.4.50],
    [AC_MSG_ERROR([$HTTPD_VERSION is too old])], [], [])
  AC_MSG_RESULT([$HTTPD_VERSION])
])
