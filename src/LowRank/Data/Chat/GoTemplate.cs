using System.Globalization;
using System.Text;

namespace LowRank.Data.Chat;

/// <summary>Writes a chat template in the language of Go's <c>text/template</c>, as Ollama's Modelfiles have
/// them.</summary>
/// <remarks>Ollama gives <c>.Messages</c>, each with <c>.Role</c> and <c>.Content</c>. The templates have no trimming
/// of blanks (<c>{{-</c>), so that every text in them stands as it is.</remarks>
internal static class GoTemplate
{
    private const string Words = "{{ .Content }}", First = "(index $.Messages 0)";

    /// <summary>The template of a shape.</summary>
    public static string Write(TurnShape shape) => IsPlain(shape) ? Plain(shape) : General(shape);

    /// <summary>Whether Ollama's reader of Modelfiles keeps a character; it drops those that Go does not
    /// print.</summary>
    public static bool IsKept(Rune character) => character.Value is ' ' or '\t' or '\n' or '\r'
        || Rune.GetUnicodeCategory(character) is not (UnicodeCategory.Control or UnicodeCategory.Format
            or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
            or UnicodeCategory.SpaceSeparator or UnicodeCategory.LineSeparator
            or UnicodeCategory.ParagraphSeparator);

    // Every text begins in one way, and each role has one text before its words.
    private static bool IsPlain(TurnShape shape) => shape.Opening == shape.Start + shape.UserBefore
        && shape.Place is SystemPlace.Turn && shape.SystemOpening == shape.Start + shape.SystemBefore;

    private static string Plain(TurnShape shape) => Text(shape.Start) + "{{ range .Messages }}" + Turns(
        Text(shape.SystemBefore) + Words + Text(shape.SystemAfter), Text(shape.UserBefore), Text(shape.AssistantBefore),
        shape);

    private static string General(TurnShape shape)
    {
        string system = shape.Place == SystemPlace.Turn
            ? If("eq $i 0", Text(shape.SystemOpening), Text(shape.SystemBefore)) + Words + Text(shape.SystemAfter) : "";
        string isTold = $"eq {First}.Role \"system\"";
        string opening = Text(shape.Opening), later = Text(shape.UserBefore);
        string Told(string before) =>
            $"{before}{{{{ {First}.Content }}}}{Text(shape.SystemAfter)}";
        string user = shape.Place switch
        {
            SystemPlace.Turn => If("eq $i 0", opening, later),
            SystemPlace.FirstUser => If("eq $i 0", opening, If(
                $"and (eq $i 1) ({isTold})", Told(Text(shape.SystemOpening)), later)),
            SystemPlace.LastUser => If(
                $"and (gt $i 0) (eq (len (slice $.Messages $i)) 1) ({isTold})",
                Told(If("eq $i 1", Text(shape.SystemOpening), Text(shape.SystemBefore))),
                If($"or (eq $i 0) (and (eq $i 1) ({isTold}))", opening, later)),
            _ => If($"or (eq $i 0) (and (eq $i 1) ({isTold}))", opening, later),
        };
        string start = shape.Start.Length == 0 ? "" : $"{{{{ if eq $i 0 }}}}{Text(shape.Start)}{{{{ end }}}}";
        return "{{ range $i, $m := .Messages }}" + Turns(system, user, start + Text(shape.AssistantBefore), shape);
    }

    private static string Turns(string system, string user, string assistant, TurnShape shape) =>
        (system.Length == 0 ? "{{ if" : $"{{{{ if eq .Role \"system\" }}}}{system}{{{{ else if")
        + $" eq .Role \"user\" }}}}{user}{Words}{Text(shape.UserAfter)}"
        + $"{{{{ else if eq .Role \"assistant\" }}}}{assistant}{Words}{Text(shape.AssistantAfter)}"
        + $"{{{{ end }}}}{{{{ end }}}}{Text(shape.Reply)}";

    private static string If(string condition, string then, string otherwise) => then == otherwise ? then
        : $"{{{{ if {condition} }}}}{then}{{{{ else }}}}{otherwise}{{{{ end }}}}";

    // A brace would be read as the beginning of an action, and three quotes end a value of a Modelfile.
    private static string Text(string text)
    {
        var written = new StringBuilder();
        foreach (Rune character in text.Replace("\"\"\"", "\u0001", StringComparison.Ordinal).EnumerateRunes())
            if (character.Value == 1) written.Append("{{ \"\\\"\\\"\\\"\" }}");
            else if (character.Value == '{') written.Append("{{ \"{\" }}");
            else if (IsKept(character)) written.Append(character);
            else written.Append(CultureInfo.InvariantCulture, $"{{{{ \"\\U{character.Value:x8}\" }}}}");
        return written.ToString();
    }
}
