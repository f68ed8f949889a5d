package import Files
package import Images
import Tensors
import VisionTransformers

/// The pictures of some folders, decoded, resized and cropped once, as 8-bit RGB.
package struct PreparedImages: Sendable {
    /// The pictures in the order of their paths.
    package let pictures: [RGBImage]
    /// The path of each picture.
    package let paths: [BytePath]
    /// The files that could not be used, with the reason.
    package let skipped: [(path: String, reason: String)]

    /// Reads all files below the given paths; unusable ones are listed in `skipped`.
    ///
    /// - Parameters:
    ///   - spread: the largest number of files to read, spread evenly over all of them; nil for all.
    ///   - decoded: called with every decoded picture, before it is resized. Without it, no picture is held whole.
    /// - Throws: `FileError` when the inputs cannot be listed.
    package init(
        _ paths: [BytePath], preparer: PatchPreparer, spread: Int? = nil, decoded: ((RGBImage) -> Void)? = nil
    ) throws {
        let lister = try InputLister(InputSource(paths: paths))
        let count = try Self.count(paths)
        let selection = spread.map { spread in
            let size = min(spread, count)
            return Set((0..<size).map { $0 * count / size })
        }
        var index = -1
        var reader = FileReader(limit: 1 << 30)
        var path: [UInt8] = []
        var pictures: [RGBImage] = []
        var picturePaths: [BytePath] = []
        var skipped: [(path: String, reason: String)] = []
        while let input = try lister.next(into: &path, waiting: { _ in true }) {
            index += 1
            if let selection, !selection.contains(index) { continue }
            let name = BytePath(path)
            try LongWork.report("reading images", picturePaths.count + skipped.count, of: selection?.count ?? count)
            do {
                try reader.read(input, at: name) { content in
                    guard let decoded else { return pictures.append(try preparer.picture(content)) }
                    let (rgb, prepared) = try preparer.pictures(content)
                    pictures.append(prepared)
                    decoded(rgb)
                }
                picturePaths.append(name)
            } catch {
                skipped.append((name.description, "\(error)"))
            }
        }
        self.pictures = pictures
        self.paths = picturePaths
        self.skipped = skipped
    }

    /// The number of files.
    private static func count(_ paths: [BytePath]) throws -> Int {
        let lister = try InputLister(InputSource(paths: paths))
        var path: [UInt8] = []
        var count = 0
        while try lister.next(into: &path, waiting: { _ in true }) != nil { count += 1 }
        return count
    }
}
