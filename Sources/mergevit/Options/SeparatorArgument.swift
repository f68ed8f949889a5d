import ArgumentParser

/// `--label-separator`: what separates the labels of a cell.
enum SeparatorArgument {
    /// Checks that a separator can be told from what it separates.
    static func check(_ text: String) throws {
        guard !text.isEmpty, !text.contains("\""), !text.contains(where: \.isNewline) else {
            throw ValidationError("--label-separator must not be empty, nor hold quotes or line ends.")
        }
    }
}
