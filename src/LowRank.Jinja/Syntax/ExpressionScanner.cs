using System.Globalization;
using System.Numerics;
using System.Text;

namespace LowRank.Jinja;

/// <summary>Splits the inside of a tag into tokens, up to and including the tag's end.</summary>
internal sealed class ExpressionScanner(SourceText source, int position, bool isBlock)
{
    // Longer operators come first.
    private static readonly (string Text, TokenKind Kind)[] Operators =
    [
        ("**", TokenKind.DoubleStar), ("//", TokenKind.DoubleSlash), ("==", TokenKind.Equal),
            ("!=", TokenKind.NotEqual),
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

    /// <summary>The position after the last token.</summary>
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
                throw new TemplateException(
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

        throw new TemplateException(
            $"unexpected character {Display.Quote(CodePoints.At(_text[Position..], 0)!)}", line);
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
                    throw new TemplateException($"unexpected '{character}'", line);
                }

                if (expected != character)
                {
                    throw new TemplateException($"unexpected '{character}', expected '{expected}'", line);
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

        throw new TemplateException($"a string is not closed by {quote}", line);
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

/// <summary>Number literals: decimal, binary, octal and hexadecimal integers and floats, with underscores between
/// digits.</summary>
internal static class NumberLiteral
{
    private const int MaximumDigits = 4300;

    /// <summary>The position after the float that begins at a position, or -1 if there is none.</summary>
    public static int FloatEnd(string text, int start)
    {
        var whole = Digits(text, start, char.IsAsciiDigit);
        var fraction = At(text, whole) == '.' ? Digits(text, whole + 1, char.IsAsciiDigit) : -1;
        var mantissa = fraction < 0 ? whole : fraction;
        if (At(text, mantissa) is 'e' or 'E')
        {
            var sign = At(text, mantissa + 1) is '+' or '-' ? 1 : 0;
            var exponent = Digits(text, mantissa + 1 + sign, char.IsAsciiDigit);
            if (exponent >= 0)
            {
                return exponent;
            }
        }

        return fraction;
    }

    /// <summary>The position after the integer that begins at a position.</summary>
    public static int IntegerEnd(string text, int start)
    {
        if (text[start] == '0')
        {
            Func<char, bool>? isDigit = char.ToLowerInvariant(At(text, start + 1)) switch
            {
                'b' => character => character is '0' or '1',
                'o' => character => character is >= '0' and <= '7',
                'x' => char.IsAsciiHexDigit,
                _ => null,
            };
            var from = At(text, start + 2) == '_' ? start + 3 : start + 2;
            var end = isDigit is null ? -1 : Digits(text, from, isDigit);
            return end >= 0 ? end : Digits(text, start, character => character == '0');
        }

        return Digits(text, start, char.IsAsciiDigit);
    }

    /// <summary>The value of an integer literal without underscores.</summary>
    public static BigInteger Integer(string text, int line)
    {
        if (text.Length > MaximumDigits)
        {
            throw new TemplateException($"an integer has more than {MaximumDigits} digits", line);
        }

        var numberBase = text.Length < 2 ? 10 : char.ToLowerInvariant(text[1]) switch
        {
            'b' => 2,
            'o' => 8,
            'x' => 16,
            _ => 10,
        };
        var value = BigInteger.Zero;
        foreach (var digit in numberBase == 10 ? text : text[2..])
        {
            value = (value * numberBase) + Convert.ToInt32(digit.ToString(), 16);
        }

        return value;
    }

    /// <summary>The value of a float literal without underscores.</summary>
    public static double Float(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    // The position after digits with single underscores between them; -1 if there are none.
    private static int Digits(string text, int start, Func<char, bool> isDigit)
    {
        var position = start;
        while (isDigit(At(text, position))
            || (position > start && At(text, position) == '_' && isDigit(At(text, position + 1))))
        {
            position++;
        }

        return position == start ? -1 : position;
    }

    private static char At(string text, int position) => position >= 0 && position < text.Length
        ? text[position] : '\0';
}

/// <summary>String literals with Python's escapes.</summary>
internal static class StringLiteral
{
    private const string Simple = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";

    /// <summary>The value of the text between the quotes.</summary>
    public static string Unescape(string raw, int line)
    {
        if (!raw.Contains('\\'))
        {
            return raw;
        }

        var result = new StringBuilder(raw.Length);
        for (var i = 0; i < raw.Length;)
        {
            if (raw[i] != '\\')
            {
                result.Append(raw[i++]);
            }
            else
            {
                i = Escape(raw, i + 1, result, line);
            }
        }

        return result.ToString();
    }

    // Appends the character for the escape at a position and returns the position after it.
    private static int Escape(string raw, int position, StringBuilder result, int line)
    {
        var character = raw[position];
        var simple = 0;
        while (simple < Simple.Length && Simple[simple] != character)
        {
            simple += 2;
        }

        if (simple < Simple.Length)
        {
            result.Append(Simple[simple + 1]);
            return position + 1;
        }

        switch (character)
        {
            case '\n':
                return position + 1;
            case 'x':
                return Hexadecimal(raw, position + 1, 2, result, line);
            case 'u':
                return Hexadecimal(raw, position + 1, 4, result, line);
            case 'U':
                return Hexadecimal(raw, position + 1, 8, result, line);
            case 'N':
                throw TemplateException.Unsupported("the escape \\N{name} in a string", line);
            case >= '0' and <= '7':
                return Octal(raw, position, result);
            default:
                // Python keeps the backslash of an unknown escape.
                result.Append('\\').Append(character);
                return position + 1;
        }
    }

    private static int Hexadecimal(string raw, int start, int digits, StringBuilder result, int line)
    {
        if (start + digits > raw.Length
            || !uint.TryParse(
                raw.AsSpan(start, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code)
            || code > 0x10ffff)
        {
            throw new TemplateException(
                $"a string has an escape with other than {digits} hexadecimal digits of a character", line);
        }

        Append(result, (int)code);
        return start + digits;
    }

    private static int Octal(string raw, int start, StringBuilder result)
    {
        var code = 0;
        var end = start;
        while (end < raw.Length && end < start + 3 && raw[end] is >= '0' and <= '7')
        {
            code = (code * 8) + (raw[end++] - '0');
        }

        Append(result, code);
        return end;
    }

    private static void Append(StringBuilder result, int code)
    {
        if (code <= 0xffff)
        {
            result.Append((char)code);
        }
        else
        {
            result.Append(char.ConvertFromUtf32(code));
        }
    }
}
