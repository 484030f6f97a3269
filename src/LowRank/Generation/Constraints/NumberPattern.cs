using System.Globalization;
using System.Numerics;

namespace LowRank.Generation;

/// <summary>A limit of numbers.</summary>
/// <param name="Value">The limit.</param>
/// <param name="IsLower">Whether numbers are above it; otherwise below.</param>
/// <param name="IsExclusive">Whether the limit itself is not allowed.</param>
internal sealed record NumberLimit(DecimalNumber Value, bool IsLower, bool IsExclusive);

/// <summary>The ways to write the numbers between limits: with a fraction, unless they are whole, and without an
/// exponent; of at most 18 digits before the point and 16 after it, unless limits have
/// more.</summary>
internal static class NumberPattern
{
    /// <summary>The largest divisor's digits, as a number.</summary>
    public const int MostDivisor = 10_000;

    private static readonly CharacterSet[] Classes =
        [.. Enumerable.Range('0', 10).Append('.').Select(CharacterSet.Of)];

    // As many as 64 bits hold; without an end, small models write digits for ever.
    private const int MostWhole = 18, MostFraction = 16;

    private const int Point = 10; // the class

    private static readonly CharacterAutomaton Zero = CharacterAutomaton.Of(["0"]);

    /// <summary>The numbers' texts.</summary>
    /// <param name="limits">Their limits.</param>
    /// <param name="divisors">What they are multiples of.</param>
    /// <param name="areWhole">Whether they have no fraction.</param>
    /// <param name="budget">What it may cost.</param>
    public static CharacterAutomaton Of(IReadOnlyList<NumberLimit> limits, IReadOnlyList<DecimalNumber> divisors,
        bool areWhole, WorkBudget budget)
    {
        CharacterAutomaton magnitude = Magnitudes(limits, divisors, areWhole, budget);
        foreach (DecimalNumber divisor in divisors) magnitude = magnitude.And(Multiples(divisor));
        CharacterAutomaton positive = magnitude, negative = areWhole ? magnitude.Without(Zero) : magnitude;
        foreach (NumberLimit limit in limits)
        {
            // Of a number below zero, the magnitude has the limit on the other side.
            positive = positive.And(Limited(limit, limit.IsLower));
            negative = negative.And(Limited(limit with { Value = Opposite(limit.Value) }, !limit.IsLower));
        }
        return negative.IsEmpty ? positive : positive.Or(negative.After('-'));
    }

    // Digits as usual, and as many as the limits have.
    private static CharacterAutomaton Magnitudes(IReadOnlyList<NumberLimit> limits,
        IReadOnlyList<DecimalNumber> divisors, bool areWhole, WorkBudget budget)
    {
        DecimalNumber[] given = [.. limits.Select(limit => limit.Value), .. divisors];
        int whole = given.Select(number => number.Whole.Length + 1).Append(MostWhole).Max();
        int fraction = given.Select(number => number.Fraction.Length + 1).Append(MostFraction).Max();
        return RegexAutomaton.Compile(string.Create(CultureInfo.InvariantCulture,
            $"(0|[1-9][0-9]{{0,{whole - 1}}}){(areWhole ? "" : $"(\\.[0-9]{{1,{fraction}}})?")}"), isSearch: false,
            budget);
    }

    private static DecimalNumber Opposite(DecimalNumber value) =>
        value with { IsNegative = !value.IsNegative && !value.IsZero };

    // Numbers from zero on that are above or below a limit.
    private static CharacterAutomaton Limited(NumberLimit limit, bool isLower)
    {
        if (limit.Value.IsNegative) return isLower ? CharacterAutomaton.Any : CharacterAutomaton.Nothing;
        return Compared(limit.Value, order =>
            order == 0 ? !limit.IsExclusive : isLower ? order > 0 : order < 0);
    }

    // Numbers whose order relative to another one is wanted.
    private static CharacterAutomaton Compared(DecimalNumber other, Func<int, bool> isWanted)
    {
        string whole = other.Whole, fraction = other.Fraction;
        // The order of the digits so far, how many there are, and whether they are behind the point.
        int Order((int Order, int Digits, bool IsFraction) state) =>
            state.IsFraction ? state.Order != 0 ? state.Order : state.Digits < fraction.Length ? -1 : 0
            : state.Digits != whole.Length ? state.Digits.CompareTo(whole.Length)
            : state.Order != 0 ? state.Order : fraction.Length > 0 ? -1 : 0;
        return CharacterAutomaton.Explore((Order: 0, Digits: 0, IsFraction: false), Classes, (state, index) =>
        {
            if (index == Point)
                return state.IsFraction ? null
                    : (state.Digits != whole.Length ? state.Digits.CompareTo(whole.Length) : state.Order, 0, true);
            string digits = state.IsFraction ? fraction : whole;
            if (state.Digits >= digits.Length)
                return !state.IsFraction ? (1, whole.Length + 1, false)
                    : state.Order == 0 && index > 0 ? (1, 0, true) : state;
            int order = state.Order != 0 ? state.Order : (index + '0').CompareTo(digits[state.Digits]);
            return state.IsFraction && order != 0 ? (order, 0, true) : (order, state.Digits + 1, state.IsFraction);
        }, state => isWanted(Order(state)));
    }

    private static CharacterAutomaton Multiples(DecimalNumber divisor)
    {
        // The divisor is a whole number of units, each the last of its places behind the point.
        var units = (int)divisor.Digits;
        int places = divisor.Fraction.Length;
        return CharacterAutomaton.Explore((Left: 0, Places: -1), Classes, (state, index) =>
        {
            if (index == Point) return state.Places < 0 ? (state.Left, 0) : null;
            if (state.Places < 0) return ((state.Left * 10 + index) % units, -1);
            if (state.Places < places) return ((state.Left * 10 + index) % units, state.Places + 1);
            return index == 0 ? state : null;
        }, state => (BigInteger)state.Left * BigInteger.Pow(10, places - Math.Max(state.Places, 0)) % units == 0);
    }
}
