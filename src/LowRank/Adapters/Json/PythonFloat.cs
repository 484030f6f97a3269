using System.Globalization;

namespace LowRank.Adapters.Json;

/// <summary>Numbers as Python writes them, for files that must equal Python's byte for byte.</summary>
internal static class PythonFloat
{
    /// <summary>The text of Python's <c>repr(float)</c>: the shortest digits that read back to the same value, with an
    /// exponent where it is below -4 or above 15, and always with a point or an exponent (<c>8.0</c>, <c>1e-05</c>).</summary>
    /// <param name="value">A finite number.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is not finite.</exception>
    public static string Text(double value)
    {
        if (!double.IsFinite(value)) throw new ArgumentOutOfRangeException(nameof(value), value, "JSON has no text for it");
        // "R" gives the shortest digits too, but changes to exponents elsewhere and leaves out ".0".
        string shortest = value.ToString("R", CultureInfo.InvariantCulture);
        string sign = shortest.StartsWith('-') ? "-" : "";
        string[] parts = shortest.TrimStart('-').Split('E');
        string[] mantissa = parts[0].Split('.');
        string digits = mantissa[0] + (mantissa.Length > 1 ? mantissa[1] : "");
        int point = mantissa[0].Length + (parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 0);
        int leadingZeros = digits.Length - digits.TrimStart('0').Length;
        digits = digits.Trim('0');
        if (digits.Length == 0) return sign + "0.0";
        return sign + Layout(digits, point - leadingZeros);
    }

    // digits without zeros at either end; the point stands before digit number `point`
    private static string Layout(string digits, int point)
    {
        int exponent = point - 1;
        if (exponent is < -4 or > 15)
        {
            string fraction = digits.Length > 1 ? "." + digits[1..] : "";
            return $"{digits[0]}{fraction}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        }
        if (point <= 0) return "0." + new string('0', -point) + digits;
        return digits.Length <= point
            ? digits + new string('0', point - digits.Length) + ".0"
            : digits[..point] + "." + digits[point..];
    }
}
