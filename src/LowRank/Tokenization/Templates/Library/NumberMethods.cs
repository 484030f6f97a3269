using System.Numerics;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The attributes and methods of numbers.</summary>
internal static class NumberMethods
{
    /// <summary>An attribute or method, or null where there is none of that name.</summary>
    public static object? Find(object value, string name) => name switch
    {
        "real" => value is double ? value : Numbers.Integer(value)!.Value,
        "imag" => value is double ? 0.0 : BigInteger.Zero,
        "numerator" when value is not double => Numbers.Integer(value)!.Value,
        "denominator" when value is not double => BigInteger.One,
        "is_integer" => Members.Method((_, self, arguments) =>
        {
            arguments.BindPositional(name, 0, 0);
            return self is not double number || double.IsInteger(number);
        }, value, name),
        "conjugate" => Members.Method((_, self, arguments) =>
        {
            arguments.BindPositional(name, 0, 0);
            return self is double ? self : Numbers.Integer(self)!.Value;
        }, value, name),
        "bit_length" when value is not double => Members.Method((_, self, arguments) =>
        {
            arguments.BindPositional(name, 0, 0);
            var magnitude = BigInteger.Abs(Numbers.Integer(self)!.Value);
            return new BigInteger(magnitude.IsZero ? 0 : magnitude.GetBitLength());
        }, value, name),
        _ => null,
    };
}
