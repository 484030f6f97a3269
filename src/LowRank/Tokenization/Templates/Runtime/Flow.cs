namespace LowRank.Tokenization.Templates.Runtime;

/// <summary>How a statement ended.</summary>
internal enum Flow
{
    /// <summary>The next statement follows.</summary>
    Normal,

    /// <summary>The innermost loop ends.</summary>
    Break,

    /// <summary>The innermost loop goes on with its next item.</summary>
    Continue,
}
