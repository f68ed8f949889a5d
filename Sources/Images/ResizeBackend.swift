/// Whose resize of 8-bit pictures is computed, bit for bit.
///
/// transformers 5 uses torchvision's where torchvision is installed, and Pillow's otherwise.
package enum ResizeBackend: String, CaseIterable, Sendable {
    /// Pillow's: weights of 22 fraction bits; vertically first where that saves work.
    case pillow
    /// torchvision's antialiased one on a CPU: weights of 16 bits with as many fraction bits as fit; always
    /// horizontally first. A centre crop puts the larger half of an odd border below and to the right.
    case torchvision

    /// Whether it has a filter.
    func has(_ filter: ResampleFilter) -> Bool { self == .pillow || filter != .box && filter != .hamming }
}
