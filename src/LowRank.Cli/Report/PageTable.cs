using static LowRank.Cli.Report.HtmlElement;

namespace LowRank.Cli.Report;

/// <summary>Tables on narrow screens.</summary>
internal static class PageTable
{
    /// <summary>A table that is scrolled by itself where it is wider than the screen, by the keyboard too.</summary>
    public static HtmlElement Scrolling(string label, HtmlElement table) => E("div", Class("scroll"), A("tabindex", "0"), A("role", "region"), A("aria-label", label), table);
}
