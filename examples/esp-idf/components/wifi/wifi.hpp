#pragma once

/// Joins the network that `idf.py menuconfig` names, and again whenever it was lost. Returns at once.
void start_wifi();
