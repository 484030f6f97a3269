using System.Text;

namespace LowRank.Jinja;

/// <summary>
/// Splits a template into text and tags, with the whitespace control of <c>trim_blocks</c> and <c>lstrip_blocks</c>:
/// the line end after a statement or comment is dropped, and the spaces before it too if nothing else is on the line.
/// </summary>
internal sealed class Lexer
{
    private readonly SourceText _source;
    private readonly string _text;
    private readonly List<Token> _tokens = [];
    private int _position;
    private bool _lineStarts = true;

    private Lexer(string source)
    {
        _source = new SourceText(source);
        _text = _source.Text;
    }

    /// <summary>The tokens of a template; the last one is <see cref="TokenKind.End"/>.</summary>
    public static List<Token> Read(string source)
    {
        var lexer = new Lexer(source);
        while (lexer._position < lexer._text.Length)
        {
            lexer.ReadNext();
        }

        lexer.Add(TokenKind.End, "", lexer._text.Length);
        return lexer._tokens;
    }

    private void ReadNext()
    {
        var start = _position;
        var open = FindTag(start);
        if (open < 0)
        {
            AddData(_text[start..], start);
            _position = _text.Length;
            return;
        }

        var kind = _text[open + 1];
        var sign = SignAt(open + 2);
        var rawEnd = kind == '%' ? RawBegin(open) : -1;
        AddData(StripBefore(_text[start..open], sign, kind != '{'), start);
        if (rawEnd >= 0)
        {
            ReadRaw(open, rawEnd);
            return;
        }

        _position = open + 2 + (sign == ' ' ? 0 : 1);
        if (kind == '#')
        {
            ReadComment(open);
        }
        else
        {
            ReadTag(open, kind == '%');
        }

        _lineStarts = _position > 0 && _text[_position - 1] == '\n';
    }

    private void ReadTag(int open, bool isBlock)
    {
        Add(isBlock ? TokenKind.BlockBegin : TokenKind.VariableBegin, isBlock ? "{%" : "{{", open);
        var scanner = new ExpressionScanner(_source, _position, isBlock);
        scanner.ReadTo(_tokens);
        _position = scanner.Position;
    }

    private void ReadComment(int open)
    {
        var begin = _position;
        var close = _text.IndexOf("#}", begin, StringComparison.Ordinal);
        if (close < 0)
        {
            throw new TemplateException("a comment is not closed by '#}'", _source.LineAt(open));
        }

        _position = close + 2;
        EndTag(close > begin ? SignAt(close - 1) : ' ');
    }

    // After a tag, a minus drops all spaces, a plus drops nothing; otherwise one line end is dropped.
    private void EndTag(char sign)
    {
        if (sign == '-')
        {
            _position = _source.SkipSpaces(_position);
        }
        else if (sign != '+' && _source.Has(_position, "\n"))
        {
            _position++;
        }
    }

    // The position after {% raw %}, or -1 if it is another tag.
    private int RawBegin(int open)
    {
        var end = KeywordEnd(open, "raw");
        return end < 0 ? -1
            : _source.Has(end, "-%}") ? _source.SkipSpaces(end + 3)
            : _source.Has(end, "%}") ? end + 2
            : -1;
    }

    private void ReadRaw(int open, int begin)
    {
        for (var i = begin; (i = _text.IndexOf("{%", i, StringComparison.Ordinal)) >= 0; i++)
        {
            var end = KeywordEnd(i, "endraw");
            var sign = end < 0 ? ' ' : SignAt(end);
            end += sign == ' ' ? 0 : 1;
            if (end < 0 || !_source.Has(end, "%}"))
            {
                continue;
            }

            _lineStarts = _text[begin - 1] == '\n';
            AddData(StripBefore(_text[begin..i], SignAt(i + 2), true), begin);
            _position = end + 2;
            EndTag(sign);
            _lineStarts = _text[_position - 1] == '\n';
            return;
        }

        throw new TemplateException("a raw block is not closed by {% endraw %}", _source.LineAt(open));
    }

    private int KeywordEnd(int open, string keyword)
    {
        var position = _source.SkipSpaces(open + 2 + (SignAt(open + 2) == ' ' ? 0 : 1));
        return _source.Has(position, keyword) ? _source.SkipSpaces(position + keyword.Length) : -1;
    }

    private int FindTag(int from)
    {
        for (var i = from; (i = _text.IndexOf('{', i)) >= 0 && i + 1 < _text.Length; i++)
        {
            if (_text[i + 1] is '%' or '{' or '#')
            {
                return i;
            }
        }

        return -1;
    }

    private string StripBefore(string text, char sign, bool isBlock)
    {
        if (sign == '-')
        {
            return Characters.Trim(text, start: false);
        }

        var lineStart = text.LastIndexOf('\n') + 1;
        var strips = sign != '+' && isBlock && (lineStart > 0 || _lineStarts)
            && text[lineStart..].All(Characters.IsSpace);
        return strips ? text[..lineStart] : text;
    }

    private char SignAt(int position) => position < _text.Length && _text[position] is '-' or '+'
        ? _text[position] : ' ';

    private void AddData(string text, int position)
    {
        if (text.Length > 0)
        {
            Add(TokenKind.Data, text, position);
        }
    }

    private void Add(TokenKind kind, string text, int position) =>
        _tokens.Add(new Token(kind, text, _source.LineAt(position)));
}

/// <summary>A template's source as jinja2 reads it: line ends are \n, and one at the very end is dropped.</summary>
internal sealed class SourceText
{
    private readonly List<int> _lineStarts = [0];

    /// <param name="source">The source as given.</param>
    public SourceText(string source)
    {
        Text = NormalizeLines(source);
        if (Text.EndsWith('\n'))
        {
            Text = Text[..^1];
        }

        for (var i = 0; i < Text.Length; i++)
        {
            if (Text[i] == '\n')
            {
                _lineStarts.Add(i + 1);
            }
        }
    }

    /// <summary>The text.</summary>
    public string Text { get; }

    /// <summary>The line of a position, counted from 1.</summary>
    public int LineAt(int position)
    {
        var index = _lineStarts.BinarySearch(position);
        return index >= 0 ? index + 1 : ~index;
    }

    /// <summary>Converts every line end to \n.</summary>
    public static string NormalizeLines(string text) => text.Contains('\r')
        ? new StringBuilder(text).Replace("\r\n", "\n").Replace('\r', '\n').ToString()
        : text;

    /// <summary>The position after the spaces that begin at a position.</summary>
    public int SkipSpaces(int position)
    {
        while (position < Text.Length && Characters.IsSpace(Text[position]))
        {
            position++;
        }

        return position;
    }

    /// <summary>Whether a text occurs at a position.</summary>
    public bool Has(int position, string expected) =>
        string.CompareOrdinal(Text, position, expected, 0, expected.Length) == 0;
}

/// <summary>A token of a template.</summary>
/// <param name="Kind">The kind of token.</param>
/// <param name="Text">The value of a string literal; for other tokens the source text.</param>
/// <param name="Line">The line, counted from 1.</param>
internal readonly record struct Token(TokenKind Kind, string Text, int Line)
{
    /// <summary>A description of the token for messages.</summary>
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

/// <summary>The kinds of tokens.</summary>
internal enum TokenKind
{
    /// <summary>The end of the template.</summary>
    End,

    /// <summary>Text between tags.</summary>
    Data,

    /// <summary><c>{%</c>.</summary>
    BlockBegin,

    /// <summary><c>%}</c>.</summary>
    BlockEnd,

    /// <summary><c>{{</c>.</summary>
    VariableBegin,

    /// <summary><c>}}</c>.</summary>
    VariableEnd,

    /// <summary>A name or keyword.</summary>
    Name,

    /// <summary>A string literal.</summary>
    String,

    /// <summary>An integer literal.</summary>
    Integer,

    /// <summary>A float literal.</summary>
    Float,

    /// <summary><c>+</c>.</summary>
    Plus,

    /// <summary><c>-</c>.</summary>
    Minus,

    /// <summary><c>*</c>.</summary>
    Star,

    /// <summary><c>**</c>.</summary>
    DoubleStar,

    /// <summary><c>/</c>.</summary>
    Slash,

    /// <summary><c>//</c>.</summary>
    DoubleSlash,

    /// <summary><c>%</c>.</summary>
    Percent,

    /// <summary><c>~</c>.</summary>
    Tilde,

    /// <summary><c>==</c>.</summary>
    Equal,

    /// <summary><c>!=</c>.</summary>
    NotEqual,

    /// <summary><c>&lt;</c>.</summary>
    Less,

    /// <summary><c>&lt;=</c>.</summary>
    LessOrEqual,

    /// <summary><c>&gt;</c>.</summary>
    Greater,

    /// <summary><c>&gt;=</c>.</summary>
    GreaterOrEqual,

    /// <summary><c>=</c>.</summary>
    Assign,

    /// <summary><c>.</c>.</summary>
    Dot,

    /// <summary><c>:</c>.</summary>
    Colon,

    /// <summary><c>|</c>.</summary>
    Pipe,

    /// <summary><c>,</c>.</summary>
    Comma,

    /// <summary><c>;</c>.</summary>
    Semicolon,

    /// <summary><c>(</c>.</summary>
    OpenParenthesis,

    /// <summary><c>)</c>.</summary>
    CloseParenthesis,

    /// <summary><c>[</c>.</summary>
    OpenBracket,

    /// <summary><c>]</c>.</summary>
    CloseBracket,

    /// <summary><c>{</c>.</summary>
    OpenBrace,

    /// <summary><c>}</c>.</summary>
    CloseBrace,
}
