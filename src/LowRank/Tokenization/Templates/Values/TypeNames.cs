using System.Numerics;

namespace LowRank.Tokenization.Templates.Values;

/// <summary>Python's names of the types, for messages.</summary>
internal static class TypeNames
{
    /// <summary>The name of a value's type.</summary>
    public static string Of(object value) => value switch
    {
        string => "str",
        MarkupValue => "Markup",
        bool => "bool",
        BigInteger => "int",
        double => "float",
        None => "NoneType",
        UndefinedValue => "Undefined",
        ListValue => "list",
        TupleValue => "tuple",
        DictionaryValue => "dict",
        DictionaryView { Part: DictionaryPart.Keys } => "dict_keys",
        DictionaryView { Part: DictionaryPart.Values } => "dict_values",
        DictionaryView => "dict_items",
        RangeValue => "range",
        IteratorValue iterator => iterator.TypeName,
        NamespaceValue => "Namespace",
        MacroValue => "Macro",
        LoopValue => "LoopContext",
        CyclerValue => "Cycler",
        _ => "builtin_function_or_method",
    };
}
