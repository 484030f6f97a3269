using System.Text;

namespace LowRank.Cli.Report;

/// <summary>An element of a page. All text is escaped, so it is never read as markup.</summary>
internal sealed class HtmlElement
{
    private static readonly HashSet<string> Void = ["meta", "br", "input", "link", "circle", "path", "line", "rect"];
    private static readonly HashSet<string> EndsLine =
        ["meta", "title", "style", "script", "head", "body", "header", "nav", "main", "footer", "section", "figure",
            "figcaption", "svg", "path", "h1", "h2", "h3", "h4", "p", "ul", "li", "dl", "dd", "table", "thead", "tbody",
            "tr", "details", "div"];

    private readonly string name;
    private readonly List<HtmlAttribute> attributes = [];
    private readonly List<object> children = [];

    private HtmlElement(string name) => this.name = name;

    /// <summary>An element.</summary>
    /// <param name="name">Its tag.</param>
    /// <param name="content">Attributes, elements, lists of elements and texts, in order; null is ignored.</param>
    public static HtmlElement E(string name, params IEnumerable<object?> content)
    {
        var element = new HtmlElement(name);
        foreach (object? item in content) element.Add(item);
        return element;
    }

    /// <summary>An attribute.</summary>
    public static HtmlAttribute A(string name, string value) => new(name, value);

    /// <summary>The class attribute.</summary>
    public static HtmlAttribute Class(string names) => new("class", names);

    /// <summary>Escapes a text for use between tags and in quoted attributes.</summary>
    /// <param name="text">Any text; characters that HTML cannot contain become U+FFFD.</param>
    public static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes()) // a lone surrogate comes out as U+FFFD
        {
            switch (rune.Value)
            {
                case '&': escaped.Append("&amp;"); break;
                case '<': escaped.Append("&lt;"); break;
                case '>': escaped.Append("&gt;"); break;
                case '"': escaped.Append("&quot;"); break;
                case '\'': escaped.Append("&#39;"); break;
                case '\n' or '\t': escaped.Append((char)rune.Value); break;
                case '\r': escaped.Append("&#13;"); break; // a bare one would be read as a line feed
                default: escaped.Append(Rune.IsControl(rune) || (rune.Value & 0xFFFE) == 0xFFFE
                    ? "\uFFFD" : rune.ToString()); break;
            }
        }
        return escaped.ToString();
    }

    /// <summary>The element as HTML.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        Write(text);
        return text.ToString();
    }

    private void Add(object? item)
    {
        switch (item)
        {
            case null: break;
            case HtmlAttribute attribute: attributes.Add(attribute); break;
            case string or HtmlElement or HtmlRaw: children.Add(item); break;
            case IEnumerable<object?> list:
                foreach (object? inner in list) Add(inner);
                break;
            default: throw new ArgumentException($"{item.GetType()} cannot be the content of an element.",
                nameof(item));
        }
    }

    private void Write(StringBuilder text)
    {
        text.Append('<').Append(name);
        foreach (HtmlAttribute attribute in attributes)
            text.Append(' ').Append(attribute.Name).Append("=\"").Append(Escape(attribute.Value)).Append('"');
        // In SVG the slash ends the element; HTML's own void elements ignore it.
        text.Append(Void.Contains(name) ? "/>" : ">");
        foreach (object child in children)
        {
            if (child is HtmlElement element) element.Write(text);
            else text.Append(child is HtmlRaw raw ? raw.Text : Escape((string)child));
        }
        if (!Void.Contains(name)) text.Append("</").Append(name).Append('>');
        if (EndsLine.Contains(name)) text.Append('\n');
    }
}

/// <summary>An attribute of an element.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">The unescaped value; it is escaped on output.</param>
internal sealed record HtmlAttribute(string Name, string Value);

/// <summary>Text of a style or a script, which HTML does not unescape.</summary>
/// <param name="Text">The text; it must not end its own element.</param>
internal sealed record HtmlRaw(string Text);
