using System.Text;
using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Syntax;

/// <summary>Cuts what stands inside a tag into tokens, up to and with the tag's end.</summary>
internal sealed class ExpressionScanner(SourceText source, int position, bool isBlock)
{
    // Longer ones first.
    private static readonly (string Text, TokenKind Kind)[] Operators =
    [
        ("**", TokenKind.DoubleStar), ("//", TokenKind.DoubleSlash), ("==", TokenKind.Equal), ("!=", TokenKind.NotEqual),
        ("<=", TokenKind.LessOrEqual), (">=", TokenKind.GreaterOrEqual), ("+", TokenKind.Plus), ("-", TokenKind.Minus),
        ("*", TokenKind.Star), ("/", TokenKind.Slash), ("%", TokenKind.Percent), ("~", TokenKind.Tilde),
        ("<", TokenKind.Less), (">", TokenKind.Greater), ("=", TokenKind.Assign), (".", TokenKind.Dot),
        (":", TokenKind.Colon), ("|", TokenKind.Pipe), (",", TokenKind.Comma), (";", TokenKind.Semicolon),
        ("(", TokenKind.OpenParenthesis), (")", TokenKind.CloseParenthesis), ("[", TokenKind.OpenBracket),
        ("]", TokenKind.CloseBracket), ("{", TokenKind.OpenBrace), ("}", TokenKind.CloseBrace),
    ];

    private readonly string _text = source.Text;
    private readonly Stack<char> _open = new();
    private readonly int _start = position;

    /// <summary>The place after what was read.</summary>
    public int Position { get; private set; } = position;

    /// <summary>Reads the tag's tokens.</summary>
    public void ReadTo(List<Token> tokens)
    {
        while (true)
        {
            if (_open.Count == 0 && TryEnd(tokens))
            {
                return;
            }

            Position = source.SkipSpaces(Position);
            if (_open.Count == 0 && TryEnd(tokens))
            {
                return;
            }

            if (Position >= _text.Length)
            {
                throw new TemplateFault(
                    $"a {(isBlock ? "statement" : "print expression")} is not closed by '{(isBlock ? "%}" : "}}")}'",
                    source.LineAt(_start));
            }

            tokens.Add(Next());
        }
    }

    private bool TryEnd(List<Token> tokens)
    {
        var close = isBlock ? "%}" : "}}";
        var sign = Position < _text.Length ? _text[Position] : ' ';
        var signed = (sign == '-' || (sign == '+' && isBlock)) && source.Has(Position + 1, close);
        if (!signed && !source.Has(Position, close))
        {
            return false;
        }

        tokens.Add(new Token(isBlock ? TokenKind.BlockEnd : TokenKind.VariableEnd, close, source.LineAt(Position)));
        Position += signed ? 3 : 2;
        if (signed && sign == '-')
        {
            Position = source.SkipSpaces(Position);
        }
        else if (!signed && isBlock && source.Has(Position, "\n"))
        {
            Position++;
        }

        return true;
    }

    private Token Next()
    {
        var start = Position;
        var character = _text[start];
        if (char.IsAsciiDigit(character))
        {
            return Number();
        }

        if (character is '\'' or '"')
        {
            return String(character);
        }

        Rune.DecodeFromUtf16(_text.AsSpan(start), out var rune, out var width);
        if (Characters.BeginsName(rune))
        {
            while (Characters.ContinuesName(rune))
            {
                Position += width;
                Rune.DecodeFromUtf16(_text.AsSpan(Position), out rune, out width);
            }

            return new Token(TokenKind.Name, _text[start..Position], source.LineAt(start));
        }

        return Operator();
    }

    private Token Operator()
    {
        var line = source.LineAt(Position);
        foreach (var (text, kind) in Operators)
        {
            if (source.Has(Position, text))
            {
                Position += text.Length;
                Balance(text[0], line);
                return new Token(kind, text, line);
            }
        }

        throw new TemplateFault($"unexpected character {Display.Quote(CodePoints.At(_text[Position..], 0)!)}", line);
    }

    private void Balance(char character, int line)
    {
        switch (character)
        {
            case '(':
                _open.Push(')');
                break;
            case '[':
                _open.Push(']');
                break;
            case '{':
                _open.Push('}');
                break;
            case ')' or ']' or '}':
                if (!_open.TryPop(out var expected))
                {
                    throw new TemplateFault($"unexpected '{character}'", line);
                }

                if (expected != character)
                {
                    throw new TemplateFault($"unexpected '{character}', expected '{expected}'", line);
                }

                break;
        }
    }

    private Token String(char quote)
    {
        var start = Position;
        var line = source.LineAt(start);
        for (var i = start + 1; i < _text.Length; i++)
        {
            if (_text[i] == '\\')
            {
                i++;
            }
            else if (_text[i] == quote)
            {
                Position = i + 1;
                return new Token(TokenKind.String, StringLiteral.Unescape(_text[(start + 1)..i], line), line);
            }
        }

        throw new TemplateFault($"a string is not closed by {quote}", line);
    }

    private Token Number()
    {
        var start = Position;
        var end = NumberLiteral.FloatEnd(_text, start);
        var kind = TokenKind.Float;
        if (end < 0 || (start > 0 && _text[start - 1] == '.'))
        {
            end = NumberLiteral.IntegerEnd(_text, start);
            kind = TokenKind.Integer;
        }

        Position = end;
        return new Token(kind, _text[start..end].Replace("_", ""), source.LineAt(start));
    }
}
