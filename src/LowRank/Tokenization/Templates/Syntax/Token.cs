namespace LowRank.Tokenization.Templates.Syntax;

/// <summary>A token of a template.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">The text: of a string literal its value, of all others as written.</param>
/// <param name="Line">The line, counted from 1.</param>
internal readonly record struct Token(TokenKind Kind, string Text, int Line)
{
    /// <summary>The token for messages.</summary>
    public string Description => Kind switch
    {
        TokenKind.End => "the end of the template",
        TokenKind.BlockEnd => "the end of the statement",
        TokenKind.VariableEnd => "the end of the expression",
        TokenKind.Data => "text",
        TokenKind.String => "a string",
        _ => $"'{Text}'",
    };
}
