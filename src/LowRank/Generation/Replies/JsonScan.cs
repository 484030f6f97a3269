namespace LowRank.Generation.Replies;

/// <summary>Follows one JSON value character by character (RFC 8259) and says where it ends.</summary>
/// <remarks>Values may nest 64 levels deep, as many as System.Text.Json reads.</remarks>
internal sealed class JsonScan
{
    private const int Deepest = 64;

    private readonly bool[] objects = new bool[Deepest]; // whether each open container is an object
    private int depth;
    private State state = State.Value;
    private string literal = "";
    private int at;

    private enum State
    {
        Value, FirstItem, FirstKey, Key, Colon, AfterValue, Text, KeyText, Escape, KeyEscape, Hex, KeyHex, Literal,
        Minus, Zero, Digits, Point, Fraction, Exponent, ExponentSign, ExponentDigits,
    }

    /// <summary>Reads a character.</summary>
    public JsonStep Read(char c) => state switch
    {
        State.Value => Begin(c),
        State.FirstItem => c == ']' ? Close(isObject: false) : Begin(c),
        State.FirstKey => c == '}' ? Close(isObject: true) : Key(c),
        State.Key => Key(c),
        State.Colon => IsSpace(c) ? JsonStep.Inside : c == ':' ? To(State.Value) : JsonStep.Wrong,
        State.AfterValue => After(c),
        State.Text or State.KeyText => InText(c),
        State.Escape or State.KeyEscape => Escaped(c),
        State.Hex or State.KeyHex => Hexadecimal(c),
        State.Literal => c != literal[at] ? JsonStep.Wrong : ++at == literal.Length ? End() : JsonStep.Inside,
        _ => Number(c),
    };

    private JsonStep Begin(char c)
    {
        if (IsSpace(c)) return JsonStep.Inside;
        switch (c)
        {
            case '{' or '[':
                if (depth == Deepest) return JsonStep.Wrong;
                objects[depth++] = c == '{';
                return To(c == '{' ? State.FirstKey : State.FirstItem);
            case '"':
                return To(State.Text);
            case 't' or 'f' or 'n':
                (literal, at) = (c == 't' ? "true" : c == 'f' ? "false" : "null", 1);
                return To(State.Literal);
            case '-':
                return To(State.Minus);
            case '0':
                return To(State.Zero);
            default:
                return char.IsAsciiDigit(c) ? To(State.Digits) : JsonStep.Wrong;
        }
    }

    private JsonStep Key(char c) =>
        IsSpace(c) ? JsonStep.Inside : c == '"' ? To(State.KeyText) : JsonStep.Wrong;

    private JsonStep After(char c) => c switch
    {
        _ when IsSpace(c) => JsonStep.Inside,
        ',' => To(objects[depth - 1] ? State.Key : State.Value),
        '}' => Close(isObject: true),
        ']' => Close(isObject: false),
        _ => JsonStep.Wrong,
    };

    private JsonStep InText(char c)
    {
        bool isKey = state == State.KeyText;
        if (c == '\\') return To(isKey ? State.KeyEscape : State.Escape);
        if (c == '"') return isKey ? To(State.Colon) : End();
        return c < ' ' ? JsonStep.Wrong : JsonStep.Inside;
    }

    private JsonStep Escaped(char c)
    {
        bool isKey = state == State.KeyEscape;
        if (c == 'u')
        {
            at = 0;
            return To(isKey ? State.KeyHex : State.Hex);
        }
        return "\"\\/bfnrt".Contains(c, StringComparison.Ordinal) ? To(isKey ? State.KeyText : State.Text)
            : JsonStep.Wrong;
    }

    private JsonStep Hexadecimal(char c)
    {
        if (!char.IsAsciiHexDigit(c)) return JsonStep.Wrong;
        return ++at < 4 ? JsonStep.Inside : To(state == State.KeyHex ? State.KeyText : State.Text);
    }

    private JsonStep Number(char c)
    {
        bool isDigit = char.IsAsciiDigit(c);
        switch (state)
        {
            case State.Minus:
                return c == '0' ? To(State.Zero) : isDigit ? To(State.Digits) : JsonStep.Wrong;
            case State.Point:
                return isDigit ? To(State.Fraction) : JsonStep.Wrong;
            case State.Exponent when c is '+' or '-':
                return To(State.ExponentSign);
            case State.Exponent or State.ExponentSign:
                return isDigit ? To(State.ExponentDigits) : JsonStep.Wrong;
            case State.Zero or State.Digits when c == '.':
                return To(State.Point);
            case State.Zero or State.Digits or State.Fraction when c is 'e' or 'E':
                return To(State.Exponent);
            case not State.Zero when isDigit:
                return JsonStep.Inside;
            default: // the number ended before this character
                return End() == JsonStep.End ? JsonStep.Past : Read(c);
        }
    }

    private JsonStep Close(bool isObject)
    {
        if (objects[depth - 1] != isObject) return JsonStep.Wrong;
        depth--;
        return End();
    }

    private JsonStep End()
    {
        state = State.AfterValue;
        return depth == 0 ? JsonStep.End : JsonStep.Inside;
    }

    private JsonStep To(State next)
    {
        state = next;
        return JsonStep.Inside;
    }

    private static bool IsSpace(char c) => c is ' ' or '\t' or '\n' or '\r';
}

/// <summary>What a character is to a JSON value.</summary>
internal enum JsonStep
{
    /// <summary>It belongs to the value, which goes on.</summary>
    Inside,

    /// <summary>It is the last one of the value.</summary>
    End,

    /// <summary>The value, a number, ended before it.</summary>
    Past,

    /// <summary>The value is not JSON.</summary>
    Wrong,
}
