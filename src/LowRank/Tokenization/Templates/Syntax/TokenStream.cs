using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Syntax;

/// <summary>Goes over the tokens of a template.</summary>
internal sealed class TokenStream(IReadOnlyList<Token> tokens)
{
    private int _index;

    /// <summary>The token that comes next.</summary>
    public Token Current => tokens[_index];

    /// <summary>The token after the one that comes next.</summary>
    public Token Following => tokens[Math.Min(_index + 1, tokens.Count - 1)];

    /// <summary>Takes a token.</summary>
    public Token Take()
    {
        var token = Current;
        _index = Math.Min(_index + 1, tokens.Count - 1);
        return token;
    }

    /// <summary>Whether the next token is of a kind.</summary>
    public bool Is(TokenKind kind) => Current.Kind == kind;

    /// <summary>Whether the next token is a keyword.</summary>
    public bool Is(string keyword) => Current.Kind == TokenKind.Name && Current.Text == keyword;

    /// <summary>Takes a token if it is of a kind.</summary>
    public bool Skip(TokenKind kind)
    {
        var found = Is(kind);
        if (found)
        {
            Take();
        }

        return found;
    }

    /// <summary>Takes a keyword if it comes next.</summary>
    public bool Skip(string keyword)
    {
        var found = Is(keyword);
        if (found)
        {
            Take();
        }

        return found;
    }

    /// <summary>Takes a token that has to be of a kind.</summary>
    public Token Expect(TokenKind kind, string description) => Is(kind)
        ? Take()
        : throw new TemplateFault($"expected {description}, found {Current.Description}", Current.Line);

    /// <summary>Takes a keyword that has to come next.</summary>
    public void Expect(string keyword)
    {
        if (!Skip(keyword))
        {
            throw new TemplateFault($"expected '{keyword}', found {Current.Description}", Current.Line);
        }
    }
}
