// libnghttp2, as Swift sees it. Only what Swift cannot import by itself is added here.
#ifndef CLINICAVOICE_CNGHTTP2_SHIM_H
#define CLINICAVOICE_CNGHTTP2_SHIM_H

#include <nghttp2/nghttp2.h>

#endif
