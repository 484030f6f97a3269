using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views;

/// <summary>A bar that shows how much of a whole is done.</summary>
internal static class ProgressBar
{
    private const int Width = 40;

    /// <summary>The bar with its numbers, such as "━━━━ 12/40 steps".</summary>
    /// <param name="done">What is done.</param>
    /// <param name="all">The whole; 0 shows an empty bar.</param>
    /// <param name="unit">What is counted.</param>
    public static IRenderable Of(long done, long all, string unit)
    {
        int full = all == 0 ? 0 : (int)(Width * done / all);
        return new Markup(string.Create(
            CultureInfo.InvariantCulture,
            $"[green]{new string('━', full)}[/][grey]{new string('━', Width - full)}[/] {done:n0}/{all:n0} {unit}"));
    }
}
