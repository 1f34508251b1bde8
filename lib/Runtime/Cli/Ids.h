// Lists of token ids.
#ifndef TENON_RUNTIME_CLI_IDS_H
#define TENON_RUNTIME_CLI_IDS_H

#include "Tensor.h"

namespace tenon::runtime {

/// Of "1,2,3", or of a file: .npy with integers, else numbers between white
/// space or commas. Throws CommandError.
std::vector<int64_t> readIds(const std::string &listOrFile);

/// Of a list alone; what is no such list gives none.
std::vector<int64_t> parseIds(const std::string &list);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_IDS_H
