using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Syntax;

/// <summary>
/// Cuts a template into text and tags, with the whitespace control of <c>trim_blocks</c> and <c>lstrip_blocks</c>: the line
/// end after a statement or comment is dropped, and so are the spaces before it where nothing else is on the line.
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

    /// <summary>The tokens of a template, the last one being <see cref="TokenKind.End"/>.</summary>
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
            throw new TemplateFault("a comment is not closed by '#}'", _source.LineAt(open));
        }

        _position = close + 2;
        EndTag(close > begin ? SignAt(close - 1) : ' ');
    }

    // What follows a tag: a minus drops all spaces, a plus nothing, otherwise one line end goes.
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

    // The place after {% raw %}, or -1 where the tag is another one.
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

        throw new TemplateFault("a raw block is not closed by {% endraw %}", _source.LineAt(open));
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

    private char SignAt(int position) => position < _text.Length && _text[position] is '-' or '+' ? _text[position] : ' ';

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
