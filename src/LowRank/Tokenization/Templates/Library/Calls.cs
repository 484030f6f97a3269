using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>Calls values.</summary>
internal static class Calls
{
    /// <summary>Whether a value can be called.</summary>
    public static bool IsCallable(object value) => value is FunctionValue or MacroValue or LoopValue or UndefinedValue;

    /// <summary>Calls a value.</summary>
    public static object Invoke(Renderer renderer, object target, Arguments arguments)
    {
        var result = target switch
        {
            FunctionValue function => function.Call(renderer, arguments),
            MacroValue macro => macro.Call(renderer, arguments),
            LoopValue { Recurse: { } recurse } => recurse(renderer, arguments),
            LoopValue => throw TemplateFault.Type("the loop must have the 'recursive' marker to be called"),
            UndefinedValue undefined => throw undefined.Use(),
            _ => throw TemplateFault.Type($"'{TypeNames.Of(target)}' object is not callable"),
        };
        Cost.Charge(renderer, result);
        return result;
    }
}
