// An extension module that brings a handler, as a capsule.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define GOHTTP_MODULE
#include "gohttp.h"

static void greet(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    gohttp_response_set_header(w, "X-From", "extension");
    gohttp_response_write(w, "from an extension", 17);
}

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "c_extension", NULL, -1,
                                        NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_c_extension(void) {
    if (gohttp_import() < 0) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) return NULL;
    PyObject *handler = PyCapsule_New((void *)greet, NULL, NULL);
    if (handler == NULL || PyModule_AddObject(module, "greet", handler) < 0) return NULL;
    return module;
}
