using System.Globalization;
using LowRank.Adapters.Json;

namespace LowRank.Adapters;

/// <summary>A number in a config file that remembers whether it was written as an integer: PEFT distinguishes <c>16</c>
/// and <c>16.0</c> when it rewrites a file.</summary>
public readonly record struct ConfigNumber
{
    private ConfigNumber(double value, bool isInteger)
    {
        Value = value;
        IsInteger = isInteger;
    }

    /// <summary>The value.</summary>
    public double Value { get; }

    /// <summary>Whether it is written without a decimal point.</summary>
    public bool IsInteger { get; }

    /// <summary>An integer, written without a decimal point.</summary>
    public static implicit operator ConfigNumber(int value) => FromInt32(value);

    /// <summary>A float, written with a decimal point or an exponent.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The number is not finite.</exception>
    public static implicit operator ConfigNumber(double value) => FromDouble(value);

    /// <summary>An integer, written without a decimal point.</summary>
    public static ConfigNumber FromInt32(int value) => new(value, isInteger: true);

    /// <summary>A float, written with a decimal point or an exponent.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The number is not finite.</exception>
    public static ConfigNumber FromDouble(double value) => double.IsFinite(value)
        ? new(value, isInteger: false)
        : throw new ArgumentOutOfRangeException(nameof(value), value, "a setting is a finite number");

    /// <summary>The text that Python writes in JSON.</summary>
    public override string ToString() => IsInteger ? ((long)Value).ToString(CultureInfo.InvariantCulture)
        : PythonFloat.Text(Value);

    /// <summary>Parses a JSON number; null if it is not finite or is an integer beyond ±2^53.</summary>
    internal static ConfigNumber? Parse(string text)
    {
        double value = double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
        if (!double.IsFinite(value)) return null;
        if (!PythonJson.IsInteger(text)) return new(value, isInteger: false);
        return Math.Abs(value) <= 1L << 53 ? new(value + 0.0, isInteger: true) : null;
    }
}
