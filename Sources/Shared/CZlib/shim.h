// zlib, as Swift sees it. Only what Swift cannot import by itself is added here.
#ifndef CLINICAVOICE_CZLIB_SHIM_H
#define CLINICAVOICE_CZLIB_SHIM_H

#include <zlib.h>

#endif
