namespace LowRank.Tokenization.Patterns;

/// <summary>A place in a text that a pattern can ask for.</summary>
internal enum PatternPlace
{
    /// <summary><c>\A</c></summary>
    TextStart,

    /// <summary><c>\z</c></summary>
    TextEnd,

    /// <summary><c>\Z</c>: the end, or before a line feed that ends the text.</summary>
    TextEndOrLastLine,

    /// <summary><c>^</c>: the beginning of a line.</summary>
    LineStart,

    /// <summary><c>$</c>: the end of a line.</summary>
    LineEnd,

    /// <summary><c>\b</c></summary>
    WordEdge,

    /// <summary><c>\B</c></summary>
    NoWordEdge,
}
