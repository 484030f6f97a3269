namespace LowRank.Cli.Report;

/// <summary>Numbers as the page writes them; the page's script writes them alike.</summary>
internal static class Figures
{
    private const int MostDecimals = 5, MostShortDecimals = 3; // of a tick; smaller ones are written with an exponent, or without a suffix

    /// <summary>Four digits: 0.1143, 12,345, 2.5e-5.</summary>
    public static string Number(double value) => Math.Abs(value) switch
    {
        0 => "0",
        >= 1e15 or < 9.9995e-4 => value.ToString("0.###e0"),
        >= 9999.5 => value.ToString("n0"),
        _ => value.ToString("G4"),
    };

    /// <summary>A whole number with its thousands apart.</summary>
    public static string Whole(long value) => value.ToString("n0");

    /// <summary>A size: 1.12 MB, which no line is broken in.</summary>
    public static string Bytes(long bytes) => bytes switch
    {
        >= 1_000_000_000 => $"{bytes / 1e9:f2}\u00A0GB",
        >= 1_000_000 => $"{bytes / 1e6:f2}\u00A0MB",
        >= 1_000 => $"{bytes / 1e3:f1}\u00A0kB",
        _ => $"{bytes}\u00A0bytes",
    };

    /// <summary>A tick of a scale: 0.05, 20k, 1.5M.</summary>
    /// <param name="value">Its value.</param>
    /// <param name="step">How far the ticks are apart: says how many digits there are.</param>
    public static string Tick(double value, double step)
    {
        if (value == 0) return "0";
        int Decimals(double unit) => Math.Max(0, (int)Math.Ceiling(-Math.Log10(step / unit) - 1e-9));
        (double unit, string suffix) = Math.Abs(value) switch { >= 1e9 => (1e9, "G"), >= 1e6 => (1e6, "M"), >= 1e4 => (1e3, "k"), _ => (1, "") };
        if (Decimals(unit) > MostShortDecimals) (unit, suffix) = (1, ""); // the thousands are no help where the digits behind them count
        if (Decimals(unit) <= MostDecimals) return (value / unit).ToString($"F{Decimals(unit)}") + suffix;
        int digits = Math.Clamp((int)(Math.Floor(Math.Log10(Math.Abs(value))) - Math.Floor(Math.Log10(step))), 0, 15);
        return value.ToString($"0.{new string('#', digits)}e0");
    }
}
