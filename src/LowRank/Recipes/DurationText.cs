using System.Globalization;
using System.Text.RegularExpressions;

namespace LowRank.Recipes;

/// <summary>Durations as recipes write them: seconds, or numbers with d, h, m and s, such as 1h30m.</summary>
internal static partial class DurationText
{
    private const double Most = 100 * 365 * 86400.0; // a hundred years: beyond that somebody has mistaken the unit

    /// <summary>Parses a positive duration.</summary>
    public static bool TryParse(string text, out TimeSpan time)
    {
        time = TimeSpan.Zero;
        if (Form().Match(text) is not { Success: true } match) return false;
        double seconds = Part(match, "plain") + 86400 * Part(match, "d") + 3600 * Part(match, "h")
            + 60 * Part(match, "m") + Part(match, "s");
        if (!(seconds > 0) || seconds > Most) return false;
        // smaller values would not round-trip
        time = TimeSpan.FromMilliseconds(Math.Round(seconds * 1000));
        return time > TimeSpan.Zero;
    }

    private static double Part(Match match, string name) => match.Groups[name] is { Success: true } part
        ? double.Parse(part.Value, NumberStyles.Float, CultureInfo.InvariantCulture) : 0;

    [GeneratedRegex(
        @"\A(?:(?<plain>[0-9]+(\.[0-9]+)?(E[-+]?[0-9]{1,3})?)|(?=.)((?<d>[0-9]+(\.[0-9]+)?)d)? ?((?<h>[0-9]+(\.[0-9]+)?)h)? ?((?<m>[0-9]+(\.[0-9]+)?)m)? ?((?<s>[0-9]+(\.[0-9]+)?)s)?)\z", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}
