import Adapters
package import Compute
package import Datasets
package import Files
package import Images

/// Decoded pictures with their classes, in memory for a whole run.
package struct PictureStore: Sendable {
    /// The pictures in the order of their items.
    package let pictures: [RGBImage]
    /// The class of each picture.
    package let classes: [Int]
    /// Files that could not be decoded, with the reason; they have no picture.
    package let skipped: [(path: BytePath, reason: String)]
    /// The class and the SHA-256 of every file, used or not, one line each.
    package let fingerprint: String

    /// The form in which pictures are stored.
    package enum Form: Sendable, Equatable {
        /// Preprocessed.
        case prepared
        /// For crops: reduced as far as crops allow, further if memory requires it.
        case forCrops(Augmentation, bytesPerPicture: Int)
    }

    /// Reads and decodes files on the pool's threads.
    ///
    /// - Parameters:
    ///   - items: the files and their classes.
    ///   - preparer: decodes them.
    ///   - form: the form in which they are stored.
    ///   - pool: the threads.
    ///   - progress: called now and then with the number of finished files.
    /// - Throws: what `progress` throws.
    package init(
        _ items: [LabelledImages.Item], preparer: PatchPreparer, form: Form, pool: WorkerPool,
        progress: (_ done: Int) throws -> Void
    ) throws {
        var pictures: [RGBImage] = []
        var classes: [Int] = []
        var skipped: [(path: BytePath, reason: String)] = []
        var fingerprint = ""
        var start = 0
        while start < items.count {
            try progress(start)
            let chunk = items[start..<min(start + Self.chunk, items.count)]
            let results = try pool.map(chunk.count) {
                Self.load(chunk[chunk.startIndex + $0].path, preparer, form)
            }
            for (item, loaded) in zip(chunk, results) {
                fingerprint += "\(item.class) \(loaded.digest)\n"
                switch loaded.picture {
                case .success(let picture):
                    pictures.append(picture)
                    classes.append(item.class)
                case .failure(let reason): skipped.append((item.path, reason.description))
                }
            }
            start += chunk.count
        }
        try progress(items.count)
        (self.pictures, self.classes, self.skipped, self.fingerprint) = (pictures, classes, skipped, fingerprint)
    }

    /// The `fingerprint` of files that are read but not decoded.
    ///
    /// - Throws: what `progress` throws.
    package static func fingerprint(
        of items: [LabelledImages.Item], pool: WorkerPool, progress: (_ done: Int) throws -> Void
    ) throws -> String {
        var text = ""
        for start in stride(from: 0, to: items.count, by: chunk) {
            try progress(start)
            let part = items[start..<min(start + chunk, items.count)]
            let digests = try pool.map(part.count) { place in
                var reader = FileReader(limit: 1 << 30)
                var digest = unreadable
                try? reader.read(part[part.startIndex + place].path) { digest = SHA256.text(of: $0) }
                return digest
            }
            for (item, digest) in zip(part, digests) { text += "\(item.class) \(digest)\n" }
        }
        return text
    }

    /// Stands for the digest of an unreadable file.
    private static let unreadable = "unreadable"

    /// Files between two calls of `progress`.
    private static let chunk = 64

    private struct Reason: Error { let description: String }

    private struct Loaded: Sendable {
        var digest = PictureStore.unreadable
        var picture: Result<RGBImage, Reason>
    }

    private static func load(_ path: BytePath, _ preparer: PatchPreparer, _ form: Form) -> Loaded {
        var reader = FileReader(limit: 1 << 30)
        var loaded = Loaded(picture: .failure(Reason(description: "not read")))
        do {
            try reader.read(path) { content in
                loaded.digest = SHA256.text(of: content)
                loaded.picture = .success(try Self.picture(content, preparer, form))
            }
        } catch {
            loaded.picture = .failure(Reason(description: "\(error)"))
        }
        return loaded
    }

    private static func picture(
        _ content: UnsafeRawBufferPointer, _ preparer: PatchPreparer, _ form: Form
    ) throws -> RGBImage {
        guard case .forCrops(let augmentation, let most) = form else { return try preparer.picture(content) }
        let (rgb, prepared) = try preparer.pictures(content)
        let shown = preparer.preprocessing.shownExtent(of: rgb)
        func size(_ detail: Double) -> ImageSize {
            augmentation.neededSize(of: rgb, shown: shown, input: prepared.size, detail: detail)
        }
        func bytes(of size: ImageSize) -> Int { size.height * size.width * 3 }
        // Twice the pixels that the smallest crop needs in each direction, so that resampling again does not blur;
        // fewer if memory is short, down to the model's size.
        var best = size(2)
        if bytes(of: best) > most {
            let least = size(augmentation.smallestArea.squareRoot())
            let factor = (Double(most) / Double(bytes(of: best))).squareRoot()
            best = ImageSize(
                height: max(Int(Double(best.height) * factor), least.height),
                width: max(Int(Double(best.width) * factor), least.width))
        }
        return rgb.resized(to: best, filter: preparer.preprocessing.filter, backend: preparer.preprocessing.resize)
    }
}
