package import Tensors

/// Random numbers of a run: each drawn from a generator for what it is for, so that it does not matter who draws it,
/// and when.
extension SplitMix64 {
    /// The generator of the order of the training images in an epoch.
    static func order(seed: UInt64, epoch: Int) -> SplitMix64 { SplitMix64(seed: seed, name: "order \(epoch)") }

    /// The generator of the changes of an image in an epoch.
    static func augmentation(seed: UInt64, epoch: Int, image: Int) -> SplitMix64 {
        SplitMix64(seed: seed, name: "augmentation \(epoch) \(image)")
    }

    /// The generator of which images of a class are held back.
    static func split(seed: UInt64, class: Int) -> SplitMix64 { SplitMix64(seed: seed, name: "split \(`class`)") }

    /// A seed of its own for something that has a name.
    package static func seed(_ seed: UInt64, _ name: String) -> UInt64 {
        var generator = SplitMix64(seed: seed, name: name)
        return generator.next()
    }

    /// The numbers of `0..<count` in random order (Fisher and Yates).
    mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(last, Int(nextUniform() * Double(last + 1)))
        }
        return order
    }
}
