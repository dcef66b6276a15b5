/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"
int main(void){return 0;}
