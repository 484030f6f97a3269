namespace LowRank.Tests;

/// <summary>What a user of the library sees.</summary>
public sealed class PublicSurfaceTests
{
    // Less is better; it has come down from 385, and serving has brought some.
    private const int Most = 250;

#pragma warning disable RS0030 // the surface as a whole is what is looked at; nothing is registered by it
    private static Type[] Types => typeof(LanguageModel).Assembly.GetExportedTypes();
#pragma warning restore RS0030

    [Fact]
    public void Types_are_internal_unless_a_user_needs_them()
    {
        Assert.InRange(Types.Length, 100, Most);
        Assert.Contains(typeof(LanguageModel), Types);
    }

    [Fact]
    public void Whatever_the_front_door_gives_is_a_type_that_can_be_named()
    {
        string[] hidden = [.. Types
            .Where(type => type.Namespace == nameof(LowRank))
            .SelectMany(type => type.GetMethods().Where(method => method.DeclaringType == type)
                .SelectMany(method => method.GetParameters().Select(parameter => parameter.ParameterType)
                    .Append(method.ReturnType)))
            .SelectMany(type => type.IsGenericType ? type.GetGenericArguments() : [type])
            .Where(type => !type.IsVisible && !type.IsGenericParameter).Select(type => type.Name).Distinct()];
        Assert.Empty(hidden);
    }
}
