package import Files
package import Images
import Tensors
import VisionTransformers

/// The pictures of some folders, decoded, resized and cropped once and kept as 8-bit RGB.
package struct PreparedImages: Sendable {
    /// The pictures in the order of their paths.
    package let pictures: [RGBImage]
    /// Where each picture is from.
    package let paths: [BytePath]
    /// Files that could not be used, with the reason.
    package let skipped: [(path: String, reason: String)]

    /// Reads everything below the given paths; unusable files are left out and reported.
    ///
    /// - Parameters:
    ///   - spread: how many files are read at most, spread evenly over all of them; nil for every one.
    ///   - decoded: shown every picture as it was decoded, before it is resized. Without it no picture is held whole.
    /// - Throws: `FileError` when the inputs cannot be listed.
    package init(
        _ paths: [BytePath], preparer: PatchPreparer, spread: Int? = nil, decoded: ((RGBImage) -> Void)? = nil
    ) throws {
        let lister = try InputLister(InputSource(paths: paths))
        let count = try Self.count(paths)
        let wanted = spread.map { spread in
            let kept = min(spread, count)
            return Set((0..<kept).map { $0 * count / kept })
        }
        var place = -1
        var reader = FileReader(limit: 1 << 30)
        var path: [UInt8] = []
        var pictures: [RGBImage] = []
        var places: [BytePath] = []
        var skipped: [(path: String, reason: String)] = []
        while let input = try lister.next(into: &path, waiting: { _ in true }) {
            place += 1
            if let wanted, !wanted.contains(place) { continue }
            let name = BytePath(path)
            try LongWork.report("reading images", places.count + skipped.count, of: wanted?.count ?? count)
            do {
                try reader.read(input, at: name) { content in
                    guard let decoded else { return pictures.append(try preparer.picture(content)) }
                    let (rgb, prepared) = try preparer.pictures(content)
                    pictures.append(prepared)
                    decoded(rgb)
                }
                places.append(name)
            } catch {
                skipped.append((name.description, "\(error)"))
            }
        }
        self.pictures = pictures
        self.paths = places
        self.skipped = skipped
    }

    /// How many files there are.
    private static func count(_ paths: [BytePath]) throws -> Int {
        let lister = try InputLister(InputSource(paths: paths))
        var path: [UInt8] = []
        var count = 0
        while try lister.next(into: &path, waiting: { _ in true }) != nil { count += 1 }
        return count
    }
}
