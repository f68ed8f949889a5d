import CImageCodecs

/// The decoder of one format: an entry of the table in CImageCodecs.
struct Codec {
    private let entry: mv_codec
    /// The name of the format, as in "PNG".
    let name: String

    private init(_ entry: mv_codec) {
        self.entry = entry
        name = String(cString: entry.name)
    }

    /// The codec of a file by its first bytes.
    ///
    /// - Throws: `ImageError` when there is none, or it is not built in.
    init(for bytes: UnsafeRawBufferPointer) throws(ImageError) {
        let data = bytes.bindMemory(to: UInt8.self).baseAddress
        guard let entry = mv_codec_of(data, bytes.count)?.pointee else { throw FileKind.problem(with: bytes) }
        self.init(entry)
        // Raw formats of cameras look like TIFF, and libtiff would decode their thumbnails.
        if let raw = FileKind.raw(bytes) { throw raw.problem }
        guard isBuiltIn else {
            throw ImageError(
                kind: .unsupported, reason: "\(name): not built in; install \(package) and build mergevit again")
        }
    }

    /// Every codec, built in or not.
    static var all: [Codec] {
        var all: [Codec] = []
        while let entry = mv_codec_at(all.count) { all.append(Codec(entry.pointee)) }
        return all
    }

    /// Whether the format is decoded.
    var isBuiltIn: Bool { entry.open != nil }

    /// The package of the library that decodes it, as Debian calls it.
    var package: String { entry.package.map { String(cString: $0) } ?? "" }

    // The functions of `mv_codec`. One that is missing fails.

    func open(
        _ bytes: UnsafeRawBufferPointer, _ options: mv_options, _ reader: inout OpaquePointer?,
        _ picture: inout mv_picture, _ message: UnsafeMutablePointer<CChar>
    ) -> CInt {
        let data = bytes.bindMemory(to: UInt8.self).baseAddress
        return withUnsafePointer(to: options) {
            entry.open?(data, bytes.count, $0, &reader, &picture, message) ?? Codec.missing
        }
    }

    func start(
        _ reader: OpaquePointer, _ options: mv_options, _ picture: inout mv_picture,
        _ message: UnsafeMutablePointer<CChar>
    ) -> CInt {
        withUnsafePointer(to: options) { entry.start?(reader, $0, &picture, message) ?? Codec.missing }
    }

    func readRows(
        _ reader: OpaquePointer, _ rgb: UnsafeMutablePointer<UInt8>, _ rows: UInt32,
        _ message: UnsafeMutablePointer<CChar>
    ) -> CInt { entry.read_rows?(reader, rgb, rows, message) ?? Codec.missing }

    func finish(_ reader: OpaquePointer, _ message: UnsafeMutablePointer<CChar>) -> CInt {
        entry.finish?(reader, message) ?? Codec.missing
    }

    func close(_ reader: OpaquePointer) { entry.close?(reader) }

    private static let missing = CInt(MV_UNSUPPORTED)

    /// The error for a C function's status and message.
    func problem(_ status: CInt, _ message: UnsafePointer<CChar>) -> ImageError {
        let kind: ImageError.Kind =
            switch Int(status) {
            case MV_UNSUPPORTED: .unsupported
            case MV_NO_MEMORY: .outOfMemory
            default: .damaged
            }
        return ImageError(kind: kind, reason: "\(name): \(String(cString: message))")
    }
}

/// A format of pictures.
package struct PictureFormat: Sendable {
    /// Its name, as in "PNG".
    package let name: String
    /// Whether this build decodes it.
    package let isBuiltIn: Bool
    /// The package of the library that decodes it, as Debian calls it; empty if the decoder is ours.
    package let package: String

    /// Every format for which there is a codec.
    package static var all: [PictureFormat] {
        Codec.all.map { PictureFormat(name: $0.name, isBuiltIn: $0.isBuiltIn, package: $0.package) }
    }
}
