import Compute
package import Files
import Glibc
package import Images
import Tensors
package import VisionTransformers

/// Features of images that earlier commands have computed, in a folder of bounded size.
///
/// A file holds what one model gave, a row for each picture. The file is found by all that the model depends on (see
/// `Source`), and a row by the pixel values that the model reads, so what has changed is computed again. Where the
/// bound is reached, the files that were used longest ago are removed. A file that was cut short or altered counts as
/// missing.
package final class FeatureCache {
    /// Where features are kept, and how many.
    package struct Settings: Sendable, Equatable {
        /// The folder; it is created if it does not exist.
        package let folder: String
        /// The most bytes that its files have together.
        package let limit: Int

        /// A folder with a bound.
        package init(folder: String, limit: Int) { (self.folder, self.limit) = (folder, limit) }
    }

    /// What identifies a picture: the first 128 bits of the SHA-256 of the pixel values that a model reads.
    struct Picture: Hashable {
        let high, low: UInt64

        init(_ values: UnsafeBufferPointer<Float>) {
            var digest = SHA256()
            digest.add(UnsafeRawBufferPointer(values))
            (high, low) = digest.prefix
        }

        fileprivate init(_ bytes: UnsafeRawBufferPointer) {
            high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
            low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }

        fileprivate var bytes: [UInt8] {
            [high, low].flatMap { number in withUnsafeBytes(of: number.bigEndian) { Array($0) } }
        }

        static let byteCount = 16
    }

    private static let format = "mergevit-features-1"
    private static let ending = ".safetensors"
    private static let partialMark = ".partial-"

    private let settings: Settings
    private let warn: (Warning) -> Void
    private var hasWarned = false

    /// Opens the folder, or creates it.
    ///
    /// - Parameter warn: told, once, that features cannot be kept: the disk is full, or the bound is too small.
    /// - Throws: `FileError` if the folder cannot be created or written, or holds anything else.
    package init(_ settings: Settings, _ warn: @escaping (Warning) -> Void) throws(FileError) {
        (self.settings, self.warn) = (settings, warn)
        guard mkdir(settings.folder, 0o755) == 0 || errno == EEXIST else { throw FileError(path: settings.folder) }
        let foreign = try SmallFiles.names(in: settings.folder).sorted().first { !Self.isFile($0) }
        if let foreign {
            throw FileError(
                path: settings.folder,
                reason: "holds \"\(foreign)\", which is no file of a feature cache; give a folder of its own")
        }
        guard access(settings.folder, W_OK | X_OK) == 0 else { throw FileError(path: settings.folder) }
    }

    /// Whether a file name is one of the cache's, finished or not: 32 hexadecimal digits and the ending.
    private static func isFile(_ name: String) -> Bool {
        let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 32, parts[0].allSatisfy(\.isHexDigit) else { return false }
        return ".\(parts[1])" == ending || ".\(parts[1])".hasPrefix(ending + partialMark)
    }

    /// A model whose features are kept.
    package struct Source: Sendable {
        /// How many values of a picture the model reads.
        let inputCount: Int
        /// What its features depend on besides the pictures, as JSON.
        let text: String

        /// A single adapter over its base. The features depend on the program and the processor, the precision, the
        /// size of images, and the files of the base and of the adapter.
        ///
        /// - Parameter adapter: what changes the base; nil for the base alone.
        /// - Throws: `FileError` when a file cannot be read; `CancellationRequested`.
        package init(_ base: Checkpoint, _ adapter: Adapter?, imageSize: ImageSize, passes: PassSettings) throws {
            let grid = base.configuration.grid(for: imageSize)
            inputCount = grid.height * grid.width * base.configuration.patchLength
            // The program as it is: another build may round differently.
            let program = FileStatus(path: "/proc/self/exe")
            let paths = ["\(base.folder)/config.json"] + base.files.map(\.path) + (adapter?.files ?? [])
            let files = try paths.map { try SHA256.text(ofFile: $0) }
            text = JSON.object([
                "program": .string(program.map { "\($0.size) bytes, \($0.modified)" } ?? "unknown"),
                "machine": .string(KernelEngine.machine), "precision": .string("\(passes.precision)"),
                // What adds an adapter to the base.
                "blas": .string("\(BLAS.kernels), \(AvailableProcessors.count) processors"),
                "image_size": .string("\(imageSize)"), "files": .array(files.map(JSON.string)),
            ]).serialized(indented: false)
        }
    }

    // MARK: Reading

    /// The rows of a file.
    private struct Rows {
        let file: SafetensorsFile
        let width: Int
        /// The place of each picture.
        let places: [Picture: Int]
        private let start: Int

        /// The rows of a file; nil when there is none, or it is not as it was written.
        init?(path: String, source: String) {
            guard let file = try? SafetensorsFile(path: path), file.metadata["format"] == FeatureCache.format,
                file.metadata["source"] == source, let pictures = file.entry("pictures"),
                let features = file.entry("features"), pictures.type == .uint8, features.type == .float32,
                pictures.shape.count == 2, pictures.shape[1] == Picture.byteCount, features.shape.count == 2,
                features.shape[0] == pictures.shape[0], features.shape[1] > 0,
                file.metadata["checksums"] == FeatureCache.checksums(file.bytes(of: pictures), file.bytes(of: features))
            else { return nil }
            self.file = file
            width = features.shape[1]
            start = features.range.lowerBound
            let bytes = file.bytes(of: pictures)
            var places: [Picture: Int] = [:]
            for row in 0..<pictures.shape[0] {
                let range = row * Picture.byteCount..<(row + 1) * Picture.byteCount
                places[Picture(UnsafeRawBufferPointer(rebasing: bytes[range]))] = row
            }
            self.places = places
        }

        func copy(_ place: Int, into row: UnsafeMutablePointer<Float>) {
            let bytes = 4 * width
            let from = start + place * bytes
            UnsafeMutableRawPointer(row).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: file.file.bytes[from..<from + bytes]).baseAddress ?? .init(row),
                byteCount: bytes)
        }
    }

    private static func checksums(_ pictures: UnsafeRawBufferPointer, _ features: UnsafeRawBufferPointer) -> String {
        "\(String(checksum(pictures), radix: 16)) \(String(checksum(features), radix: 16))"
    }

    private func path(_ source: String) -> String {
        "\(settings.folder)/\(SHA256.text(ofUTF8: source).prefix(32))\(Self.ending)"
    }

    /// The features that are kept of some pictures.
    ///
    /// - Returns: the number of features and those of the pictures that are known, by their place in `pictures`; nil
    ///   when there are none.
    func features(_ source: Source, of pictures: [Picture]) -> (width: Int, rows: [(place: Int, values: [Float])])? {
        let path = path(source.text)
        guard let rows = Rows(path: path, source: source.text) else { return nil }
        // The time of the last use.
        utimensat(AT_FDCWD, path, nil, 0)
        let found = pictures.enumerated().compactMap { index, picture -> (place: Int, values: [Float])? in
            guard let place = rows.places[picture] else { return nil }
            let values = [Float](unsafeUninitializedCapacity: rows.width) { buffer, count in
                if let start = buffer.baseAddress { rows.copy(place, into: start) }
                count = rows.width
            }
            return (index, values)
        }
        return (rows.width, found)
    }

    // MARK: Writing

    /// Keeps the features of some pictures beside those that are there. Nothing that prevents it is an error.
    func keep(_ features: FeatureTable, of pictures: [Picture], _ source: Source) {
        let path = path(source.text)
        var rows: [Picture: Int] = [:]
        for (row, picture) in pictures.enumerated() { rows[picture] = row }
        let bytesPerRow = Picture.byteCount + 4 * features.width
        guard rows.count * bytesPerRow + Self.headerBytes + source.text.utf8.count <= settings.limit else {
            return warnOnce(
                "features of \(rows.count) images are not kept: they are \(rows.count * bytesPerRow) bytes, and "
                    + "\(settings.folder) may have \(settings.limit)")
        }
        var old = Rows(path: path, source: source.text).flatMap { $0.width == features.width ? $0 : nil }
        let kept = old?.places.filter { rows[$0.key] == nil }.sorted { $0.value < $1.value } ?? []
        var size = (kept.count + rows.count) * bytesPerRow + Self.headerBytes + source.text.utf8.count
        if size > settings.limit {
            old = nil
            size = rows.count * bytesPerRow + Self.headerBytes + source.text.utf8.count
        }
        makeRoom(for: size, besides: path)
        let order = rows.sorted { $0.value < $1.value }
        let names = (old == nil ? [] : kept.map(\.key)) + order.map(\.key)
        let values = FloatBuffer(count: names.count * features.width)
        var row = values.base
        if let old {
            for (_, place) in kept {
                old.copy(place, into: row)
                row += features.width
            }
        }
        for (_, place) in order {
            for column in 0..<features.width { row[column] = features.values[place * features.width + column] }
            row += features.width
        }
        do throws(FileError) { try write(names, values, width: features.width, source.text, to: path) } catch {
            warnOnce("features are not kept: \(error)")
        }
    }

    /// What the header of a file takes besides its source, at most.
    private static let headerBytes = 1024

    private func write(
        _ pictures: [Picture], _ values: FloatBuffer, width: Int, _ source: String, to path: String
    ) throws(FileError) {
        let partial = "\(path)\(Self.partialMark)\(getpid())"
        defer { unlink(partial) }
        let names = pictures.flatMap(\.bytes)
        let checksums = names.withUnsafeBytes { Self.checksums($0, values.bytes) }
        let writer = try SafetensorsWriter(
            path: partial,
            declarations: [
                .init(name: "pictures", type: .uint8, shape: [pictures.count, Picture.byteCount]),
                .init(name: "features", shape: [pictures.count, width]),
            ],
            metadata: ["format": Self.format, "source": source, "checksums": checksums])
        var failure: FileError?
        names.withUnsafeBytes { bytes in
            do throws(FileError) { try writer.append("pictures", bytes: bytes) } catch { failure = error }
        }
        if let failure { throw failure }
        try writer.append("features", bytes: values.bytes)
        try writer.finish()
        if let code = FileWriting.rename(BytePath(partial), to: BytePath(path), syncs: false) {
            throw FileError(path: path, reason: systemReason(code))
        }
    }

    /// Removes the files that were used longest ago until one of `size` bytes fits, and, if it still does not, the one
    /// that it replaces.
    private func makeRoom(for size: Int, besides path: String) {
        let names = (try? SmallFiles.names(in: settings.folder)) ?? []
        var files = names.filter(Self.isFile).compactMap { name -> (path: String, status: FileStatus)? in
            let path = "\(settings.folder)/\(name)"
            return FileStatus(path: path).map { (path, $0) }
        }
        func isFirst(_ a: (path: String, status: FileStatus), _ b: (path: String, status: FileStatus)) -> Bool {
            if (a.path == path) != (b.path == path) { return b.path == path }
            return (a.status.modified, a.path) < (b.status.modified, b.path)
        }
        files.sort(by: isFirst)
        var total = files.reduce(size) { $0 + $1.status.size }
        for file in files where total > settings.limit {
            unlink(file.path)
            total -= file.status.size
        }
    }

    private func warnOnce(_ text: String) {
        guard !hasWarned else { return }
        hasWarned = true
        warn(Warning(text))
    }
}
