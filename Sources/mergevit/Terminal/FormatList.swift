import Images

/// The formats of pictures, for `--version`.
enum FormatList {
    /// "pictures: PNG, JPEG; not built in: WebP (libwebp-dev)", without an end of line.
    static var text: String {
        let formats = PictureFormat.all
        let missing = formats.filter { !$0.isBuiltIn }.map { "\($0.name) (\($0.package))" }
        return "pictures: " + formats.filter(\.isBuiltIn).map(\.name).joined(separator: ", ")
            + (missing.isEmpty ? "" : "; not built in: " + missing.joined(separator: ", "))
    }
}
